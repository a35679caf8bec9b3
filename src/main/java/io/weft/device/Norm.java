package io.weft.device;

/** The weights of a layer norm or an RMS norm on the device. */
public interface Norm {
    /** Elements of a row. */
    int width();

    /** Which norm it is. */
    Kind kind();

    /** The formula. Sums are in fp32 and in one fixed order per row. */
    sealed interface Kind {
        /** The term added to the variance or the mean square. */
        float epsilon();

        /** What is added to the gain. */
        default float gainOffset() {
            return 0;
        }

        /**
         * {@code (x − mean) / sqrt(variance + epsilon) · gain + bias}, the variance with divisor n (Ba et al. 2016).
         */
        record LayerNorm(float epsilon) implements Kind {}

        /**
         * {@code x / sqrt(mean(x²) + epsilon) · (gain + gainOffset)} (Zhang and Sennrich 2019; Gemma stores gain − 1,
         * so its offset is 1).
         */
        record RmsNorm(float epsilon, float gainOffset) implements Kind {}
    }
}
