package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Place;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** How a step brings the cached tokens to the attention. */
public enum Schedule {
    /** All K and V stay in device memory. */
    RESIDENT("resident"),
    /** All K and V cross the link. */
    FULL_TRANSFER("full-transfer"),
    /**
     * The schedule of the KVPR paper: the activations of a layer's first tokens cross, then K and V of the others cross
     * while the first are recomputed.
     */
    KVPR("kvpr"),
    /** Activations and K and V cross in chunks, recomputed chunk by chunk; the link runs ahead into the next layers. */
    CHUNKED("chunked");

    private final String label;

    Schedule(String label) {
        this.label = label;
    }

    /** Forms that full blocks may have under it. */
    public Set<CacheForm> forms() {
        return switch (this) {
            case RESIDENT -> Set.of(CacheForm.DEVICE_KV);
            case FULL_TRANSFER -> Set.of(CacheForm.HOST_KV);
            case KVPR -> CacheForm.setOf(CacheForm.HOST_KV, CacheForm.HOST_ACT);
            case CHUNKED ->
                CacheForm.all().stream()
                        .filter(form -> form.place() == Place.HOST)
                        .collect(Collectors.toCollection(TreeSet::new));
        };
    }

    /** The name users give it. */
    public String label() {
        return label;
    }
}
