package io.weft.device.cpu;

import io.weft.device.ElementType;

/** Elements of any type in memory, as bits and as fp32. */
final class Elements {
    private static final int BF16_SHIFT = 16;
    /** What a GPU makes of any NaN. */
    private static final int NAN_16 = 0x7fff;

    private static final int NAN_32 = 0x7fff_ffff;

    private Elements() {}

    /** The bits of element {@code index} of an array. */
    static int bits(ElementType type, long array, long index) {
        return switch (type) {
            case F32 -> Memory.getInt(array + index * Float.BYTES);
            case F16, BF16 -> Memory.getShort(array + index * Short.BYTES);
        };
    }

    static void setBits(ElementType type, long array, long index, int bits) {
        switch (type) {
            case F32 -> Memory.setInt(array + index * Float.BYTES, bits);
            case F16, BF16 -> Memory.setShort(array + index * Short.BYTES, bits);
        }
    }

    static float get(ElementType type, long array, long index) {
        return widen(type, bits(type, array, index));
    }

    static void set(ElementType type, long array, long index, float value) {
        setBits(type, array, index, narrow(type, value));
    }

    static float widen(ElementType type, int bits) {
        return switch (type) {
            case F32 -> Float.intBitsToFloat(bits);
            case F16 -> Float.float16ToFloat((short) bits);
            case BF16 -> Float.intBitsToFloat(bits << BF16_SHIFT);
        };
    }

    /** The bits of the nearest number, ties to even; all NaN become one. */
    static int narrow(ElementType type, float value) {
        int bits = Float.floatToRawIntBits(value);
        return switch (type) {
            case F32 -> Float.isNaN(value) ? NAN_32 : bits;
            case F16 -> Float.isNaN(value) ? NAN_16 : Short.toUnsignedInt(Float.floatToFloat16(value));
            case BF16 -> Float.isNaN(value) ? NAN_16 : (bits + 0x7fff + ((bits >>> BF16_SHIFT) & 1)) >>> BF16_SHIFT;
        };
    }

    /** The nearest number of the type. */
    static float round(ElementType type, float value) {
        return widen(type, narrow(type, value));
    }

    /** The least number of the type that is not below {@code value}, which is not negative; NaN stays NaN. */
    static float roundUp(ElementType type, float value) {
        int bits = narrow(type, value);
        float nearest = widen(type, bits);
        return nearest < value ? widen(type, bits + 1) : nearest;
    }

    /** The number of the type before {@code value}, which is one and positive. */
    static float before(ElementType type, float value) {
        return widen(type, narrow(type, value) - 1);
    }
}
