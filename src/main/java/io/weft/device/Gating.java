package io.weft.device;

/** How the gate and the value that it gates become one value in the experts of {@link Kernels#experts}. */
public sealed interface Gating {
    /** {@code activation(gate) · up}. */
    record Activated(Activation activation) implements Gating {}

    /**
     * {@code (up + 1) · gate · σ(alpha · gate)} with {@code gate} at most {@code limit} and {@code up} within
     * {@code ±limit}: the clamped SwiGLU of gpt-oss.
     *
     * @param limit above 0; 7 in published models
     * @param alpha 1.702 in published models, with which {@code x · σ(alpha · x)} is close to GELU
     */
    record ClampedSwiGlu(float limit, float alpha) implements Gating {
        public ClampedSwiGlu {
            if (!(limit > 0) || !Float.isFinite(alpha)) {
                throw new IllegalArgumentException(
                        "limit is " + limit + ", must be above 0; alpha is " + alpha + ", must be finite");
            }
        }
    }
}
