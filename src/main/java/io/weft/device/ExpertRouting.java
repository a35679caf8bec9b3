package io.weft.device;

/**
 * How {@link Kernels#route} chooses experts.
 *
 * @param experts E, from 1 to {@value #EXPERTS_MOST}
 * @param chosen experts of a row, from 1 to E
 * @param weights what the weights of the chosen experts are
 */
public record ExpertRouting(int experts, int chosen, Weights weights) {
    /** The most experts of a layer. */
    public static final int EXPERTS_MOST = 1024;

    /** The weights of the chosen experts. */
    public enum Weights {
        /** The softmax of all logits: the weights of the chosen add up to less than 1. */
        SOFTMAX_OF_ALL,
        /**
         * The softmax of the logits of the chosen. A softmax of all that is divided by the sum of the chosen is the
         * same.
         */
        SOFTMAX_OF_CHOSEN
    }

    public ExpertRouting {
        if (experts < 1 || experts > EXPERTS_MOST) {
            throw new IllegalArgumentException("experts is " + experts + ", must be from 1 to " + EXPERTS_MOST);
        }
        if (chosen < 1 || chosen > experts) {
            throw new IllegalArgumentException(
                    "chosen is " + chosen + ", must be from 1 to " + experts + ", the number of experts");
        }
    }
}
