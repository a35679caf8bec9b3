package io.weft.plan.machine;

import io.weft.model.CacheGeometry;

/** A machine that a question is about. */
public sealed interface Machine {
    /** Host memory of a machine that is known by its data sheet, unless it is given: not part of the data sheet. */
    long USUAL_HOST_BYTES = 128_000_000_000L;

    /** Device memory. */
    long deviceBytes();

    /** Host memory for the cache. */
    long hostBytes();

    /**
     * What it takes for the stages of a model.
     *
     * @throws IllegalArgumentException if nothing is known of it
     */
    HardwareProfile profile(CacheGeometry geometry);

    /**
     * A machine by its data sheet, for any model.
     *
     * @param spec the figures
     */
    record Specified(HardwareSpec spec) implements Machine {
        @Override
        public long deviceBytes() {
            return spec.deviceMemoryBytes();
        }

        @Override
        public long hostBytes() {
            return USUAL_HOST_BYTES;
        }

        @Override
        public HardwareProfile profile(CacheGeometry geometry) {
            return spec.profile(geometry);
        }
    }

    /**
     * A machine that was measured, with one model.
     *
     * @param geometry of the cache that it was measured with
     * @param profile what was measured
     * @param deviceBytes device memory
     * @param hostBytes host memory for the cache
     */
    record Measured(CacheGeometry geometry, HardwareProfile profile, long deviceBytes, long hostBytes)
            implements Machine {
        @Override
        public HardwareProfile profile(CacheGeometry asked) {
            if (!asked.dimensions().equals(geometry.dimensions()) || asked.elementBytes() != geometry.elementBytes()) {
                throw new IllegalArgumentException(
                        "the profile of %s was measured with another model, and says nothing of this one: name hardware"
                                .formatted(profile.device()));
            }
            return profile;
        }
    }
}
