package io.weft.plan.placement;

import io.weft.model.CacheForm;
import java.util.Map;
import java.util.TreeMap;

/**
 * The contents of the cache when a sequence is admitted.
 *
 * @param sequences number of running sequences
 * @param tokensByForm tokens in each form, including tokens to come that have a home
 * @param freeDeviceBytes free device memory for full blocks
 * @param freeHostBytes free host memory for full blocks
 */
public record Occupancy(int sequences, Map<CacheForm, Long> tokensByForm, long freeDeviceBytes, long freeHostBytes) {
    public Occupancy {
        tokensByForm = Map.copyOf(tokensByForm);
        if (sequences < 0 || freeDeviceBytes < 0 || freeHostBytes < 0) {
            throw new IllegalArgumentException(
                    "occupancy has %d sequences, %d free device and %d free host bytes, must not be negative"
                            .formatted(sequences, freeDeviceBytes, freeHostBytes));
        }
    }

    /** The occupancy without any sequence. */
    public static Occupancy none(long freeDeviceBytes, long freeHostBytes) {
        return new Occupancy(0, new TreeMap<>(), freeDeviceBytes, freeHostBytes);
    }

    /** The number of all tokens. */
    public long tokens() {
        return tokensByForm.values().stream().mapToLong(tokens -> tokens).sum();
    }
}
