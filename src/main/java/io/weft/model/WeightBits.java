package io.weft.model;

/**
 * How many bits the elements of the layers' matrices take on a device.
 *
 * @param quantisedShare the share of elements that are quantised
 * @param quantisedBits bits of such an element, with its part of the scales; 0 if there is none
 */
public record WeightBits(double quantisedShare, double quantisedBits) {
    /** All elements are as the device computes with them. */
    public static final WeightBits PLAIN = new WeightBits(0, 0);

    public WeightBits {
        if (!(quantisedShare >= 0 && quantisedShare <= 1) || !(quantisedBits >= 0)) {
            throw new IllegalArgumentException(
                    "quantisedShare is %s and quantisedBits %s, must be from 0 to 1, and not negative"
                            .formatted(quantisedShare, quantisedBits));
        }
    }

    /**
     * Bytes of matrices of layers.
     *
     * @param elements of the matrices
     * @param elementBytes bytes of an element that is not quantised
     */
    public double bytes(double elements, int elementBytes) {
        return elements * (quantisedShare * quantisedBits / Byte.SIZE + (1 - quantisedShare) * elementBytes);
    }
}
