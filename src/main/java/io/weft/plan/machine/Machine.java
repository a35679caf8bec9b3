package io.weft.plan.machine;

import io.weft.model.CacheGeometry;
import io.weft.model.WeightBits;

/** The machine of a question. */
public sealed interface Machine {
    /** The default host memory of a machine that is known by its data sheet, which does not list any. */
    long USUAL_HOST_BYTES = 128_000_000_000L;

    /** The bytes of device memory. */
    long deviceBytes();

    /** The bytes of host memory for the cache. */
    long hostBytes();

    /**
     * The times of the machine for the stages of a model.
     *
     * @throws IllegalArgumentException if the machine was measured with another model
     */
    HardwareProfile profile(CacheGeometry geometry, WeightBits weights);

    /**
     * A machine known by its data sheet, for any model.
     *
     * @param spec figures of the data sheet
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
        public HardwareProfile profile(CacheGeometry geometry, WeightBits weights) {
            return spec.profile(geometry, weights);
        }
    }

    /**
     * A machine that was measured with one model.
     *
     * @param geometry geometry of the cache in the measurement
     * @param profile the measurement
     * @param deviceBytes device memory
     * @param hostBytes host memory for the cache
     */
    record Measured(CacheGeometry geometry, HardwareProfile profile, long deviceBytes, long hostBytes)
            implements Machine {
        @Override
        public HardwareProfile profile(CacheGeometry asked, WeightBits weights) {
            if (!asked.dimensions().equals(geometry.dimensions()) || asked.elementBytes() != geometry.elementBytes()) {
                throw new IllegalArgumentException(
                        "the profile of %s was measured with another model, and says nothing of this one: name hardware"
                                .formatted(profile.device()));
            }
            return profile;
        }
    }
}
