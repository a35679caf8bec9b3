package io.weft.device;

/** The numbers for which the codes of quantised weights stand. */
public enum WeightCode {
    /** 0 to 15, less a zero. */
    INT4(4),
    /** 0 to 255, less a zero. */
    INT8(8),
    /** FP8 with four bits of exponent and three of mantissa, without infinities (OCP 8-bit floating point, E4M3). */
    FP8_E4M3(8),
    /** FP4 with two bits of exponent and one of mantissa (OCP Microscaling formats, E2M1). */
    FP4_E2M1(4);

    private static final int E4M3_BIAS = 7;
    private static final int E4M3_MANTISSA_BITS = 3;
    private static final int E2M1_BIAS = 1;
    private static final int E2M1_MANTISSA_BITS = 1;
    private static final int E4M3_NAN = 0x7f;

    private final int bits;

    WeightCode(int bits) {
        this.bits = bits;
    }

    /** Bits of a code. */
    public int bits() {
        return bits;
    }

    /** The zero of an integer code that has none of its own: the middle of its range. */
    public int middle() {
        return switch (this) {
            case INT4, INT8 -> 1 << (bits - 1);
            case FP8_E4M3, FP4_E2M1 -> 0;
        };
    }

    /** The number that a code stands for, before a zero is taken off. */
    public float value(int code) {
        return switch (this) {
            case INT4, INT8 -> code;
            case FP8_E4M3 -> (code & E4M3_NAN) == E4M3_NAN ? Float.NaN : floating(code, E4M3_BIAS, E4M3_MANTISSA_BITS);
            case FP4_E2M1 -> floating(code, E2M1_BIAS, E2M1_MANTISSA_BITS);
        };
    }

    /** Sign, exponent and mantissa; an exponent of 0 is that of 1, without the leading bit. */
    private float floating(int code, int bias, int mantissaBits) {
        int magnitude = code & ((1 << (bits - 1)) - 1);
        int exponent = magnitude >> mantissaBits;
        int mantissa = magnitude & ((1 << mantissaBits) - 1);
        int leading = exponent == 0 ? 0 : 1 << mantissaBits;
        float value = Math.scalb((float) (leading + mantissa), Math.max(exponent, 1) - bias - mantissaBits);
        return code == magnitude ? value : -value;
    }
}
