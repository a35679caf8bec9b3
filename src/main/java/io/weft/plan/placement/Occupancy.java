package io.weft.plan.placement;

import io.weft.model.CacheForm;
import java.util.EnumMap;
import java.util.Map;

/**
 * What the cache holds when a sequence is admitted.
 *
 * @param sequences that run
 * @param tokensByForm tokens that are placed, or have a place, in each form
 * @param freeDeviceBytes device memory that is left for full blocks
 * @param freeHostBytes host memory that is left for full blocks
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

    /** Nothing runs. */
    public static Occupancy none(long freeDeviceBytes, long freeHostBytes) {
        return new Occupancy(0, new EnumMap<>(CacheForm.class), freeDeviceBytes, freeHostBytes);
    }

    /** All tokens. */
    public long tokens() {
        return tokensByForm.values().stream().mapToLong(tokens -> tokens).sum();
    }
}
