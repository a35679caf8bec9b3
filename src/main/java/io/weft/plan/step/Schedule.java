package io.weft.plan.step;

import io.weft.model.CacheForm;
import java.util.EnumSet;
import java.util.Set;

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

    /** Forms that full blocks have under it. */
    public Set<CacheForm> forms() {
        return switch (this) {
            case RESIDENT -> EnumSet.of(CacheForm.DEVICE_KV);
            case FULL_TRANSFER -> EnumSet.of(CacheForm.HOST_KV);
            case KVPR, CHUNKED -> EnumSet.of(CacheForm.HOST_KV, CacheForm.HOST_ACT);
        };
    }

    /** The name users give it. */
    public String label() {
        return label;
    }
}
