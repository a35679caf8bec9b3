package io.weft.check;

import io.weft.device.ElementType;

/** Bounds on the deviation of a kernel's arithmetic from its formula, relative to the size of the terms. */
final class RoundingErrors {
    /** The error of one fp32 operation. */
    static final double FP32 = 0x1p-24;

    /** The errors of an exponential, an error function or a hyperbolic tangent, and of the operations on it. */
    static final double FUNCTION = 8 * FP32;

    /** The steepest slope of an activation: GELU, at √2. */
    static final double ACTIVATION_SLOPE = 1.13;

    /** The standard deviations by which the sum of random roundings may be off. */
    private static final int DEVIATIONS = 4;

    private RoundingErrors() {}

    /** The error of a stored value. */
    static double stored(ElementType type) {
        return epsilon(type) / 2;
    }

    /**
     * The error of an fp32 sum, relative to the sum of its terms' sizes: as many roundings as terms, which add up like
     * a random walk (Higham and Mary 2019).
     */
    static double sum(int terms) {
        return DEVIATIONS * Math.sqrt(terms) * FP32;
    }

    /** The distance from 1 to the next number of an element type. */
    private static double epsilon(ElementType type) {
        return switch (type) {
            case F32 -> 0x1p-23;
            case F16 -> 0x1p-10;
            case BF16 -> 0x1p-7;
        };
    }

    /** Numbers of an element type below this are evenly spaced, so a rounding is relative to it. */
    static double leastNormal(ElementType type) {
        return switch (type) {
            case F32, BF16 -> Float.MIN_NORMAL;
            case F16 -> 0x1p-14;
        };
    }
}
