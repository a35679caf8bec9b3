package io.weft.device;

/**
 * How quantised weights are stored: a code an element, and for each row and group of columns a scale, perhaps a zero.
 * An element is {@code (code − zero) · scale}.
 *
 * @param code what a code stands for
 * @param groupColumns columns that share a scale, from a multiple of them on; at most the row's width
 * @param zero where zeros come from
 * @param scaleType the element type that holds every scale exactly
 */
public record WeightEncoding(WeightCode code, int groupColumns, Zero zero, ElementType scaleType) {
    /** Where zeros come from. */
    public enum Zero {
        /** All are {@link WeightCode#middle}. */
        MIDDLE,
        /** Each group has its own. */
        GROUP
    }

    public WeightEncoding {
        if (groupColumns < 1) {
            throw new IllegalArgumentException("groupColumns is " + groupColumns + ", must be at least 1");
        }
        if (zero == Zero.GROUP && code.middle() == 0) {
            throw new IllegalArgumentException(code + " has no zeros");
        }
    }

    /** Groups of a row. */
    public int groups(int columns) {
        return Math.ceilDiv(columns, groupColumns);
    }

    /** Bytes of a row's codes; the last may have unused bits. */
    public long rowBytes(int columns) {
        return Math.ceilDiv((long) columns * code.bits(), Byte.SIZE);
    }

    /** Bytes of a row's codes, scales and zeros. */
    public long storedRowBytes(int columns) {
        int zeroBytes = zero == Zero.GROUP ? 1 : 0;
        return rowBytes(columns) + (long) groups(columns) * (scaleType.bytes() + zeroBytes);
    }

    /** The name of a matrix's storage, such as {@code int4 by 128}. */
    public String label() {
        String name = switch (code) {
            case INT4 -> "int4";
            case INT8 -> "int8";
            case FP8_E4M3 -> "fp8";
            case FP4_E2M1 -> "mxfp4";
        };
        return name + " by " + groupColumns;
    }
}
