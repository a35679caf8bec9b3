package io.weft.check;

import io.weft.device.ElementType;

/** How far a kernel's arithmetic may be from its formula, relative to the size of the terms. */
final class RoundingErrors {
    /** Of one fp32 operation. */
    static final double FP32 = 0x1p-24;

    /** Roundings of an exponential, an error function or a hyperbolic tangent, and of what is made of it. */
    static final double FUNCTION = 8 * FP32;

    /** The steepest that an activation gets: GELU, at √2. */
    static final double ACTIVATION_SLOPE = 1.13;

    /** Standard deviations that the sum of random roundings may be off by. */
    private static final int DEVIATIONS = 4;

    private RoundingErrors() {}

    /** Of a value that is stored. */
    static double stored(ElementType type) {
        return epsilon(type) / 2;
    }

    /**
     * Of an fp32 sum, relative to the sum of its terms' sizes: as many roundings as terms, which add up like a random
     * walk (Higham and Mary 2019).
     */
    static double sum(int terms) {
        return DEVIATIONS * Math.sqrt(terms) * FP32;
    }

    /** Distance from 1 to the next number of an element type. */
    private static double epsilon(ElementType type) {
        return switch (type) {
            case F32 -> 0x1p-23;
            case F16 -> 0x1p-10;
            case BF16 -> 0x1p-7;
        };
    }

    /** Below this, numbers of an element type lie evenly: a rounding is then relative to it. */
    static double leastNormal(ElementType type) {
        return switch (type) {
            case F32, BF16 -> Float.MIN_NORMAL;
            case F16 -> 0x1p-14;
        };
    }
}
