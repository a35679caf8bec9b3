package io.weft.model;

import io.weft.device.ElementType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;

/**
 * A tensor as a safetensors file has it, of any type.
 *
 * @param name its name in the file
 * @param type the file's name for the type of its elements
 * @param shape outermost first; empty for a single number
 * @param data the elements and nothing else, little-endian
 */
record StoredTensor(String name, String type, List<Integer> shape, MemorySegment data) {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int BF16_SHIFT = 16;
    private static final int E8M0_BIAS = 127;
    private static final int E8M0_NAN = 0xff;
    private static final int BYTE = 0xff;

    StoredTensor {
        shape = List.copyOf(shape);
    }

    /** The element type that holds every number of a tensor of scales; empty if they are no such numbers. */
    Optional<ElementType> scaleType() {
        return switch (type) {
            case "F32" -> Optional.of(ElementType.F32);
            case "F16" -> Optional.of(ElementType.F16);
            case "BF16", "F8_E8M0" -> Optional.of(ElementType.BF16);
            default -> Optional.empty();
        };
    }

    /** Element {@code index} of a tensor that has a {@link #scaleType}, or of bytes that are E8M0 numbers. */
    float number(long index) {
        return switch (type) {
            case "F32" -> data.get(FLOAT, index * Float.BYTES);
            case "F16" -> Float.float16ToFloat(data.get(SHORT, index * Short.BYTES));
            case "BF16" -> Float.intBitsToFloat(data.get(SHORT, index * Short.BYTES) << BF16_SHIFT);
            case "F8_E8M0", "U8" -> powerOfTwo(data.get(ValueLayout.JAVA_BYTE, index) & BYTE);
            default -> throw new IllegalStateException(name + " has dtype " + type + ", no number");
        };
    }

    /** OCP's E8M0: an exponent and nothing else. */
    private static float powerOfTwo(int exponent) {
        return exponent == E8M0_NAN ? Float.NaN : Math.scalb(1.0f, exponent - E8M0_BIAS);
    }

    /** Element {@code index} of a tensor of 32-bit words. */
    int word(long index) {
        return data.get(INT, index * Integer.BYTES);
    }

    /** The number of elements. */
    long elements() {
        return shape.stream().mapToLong(Integer::longValue).reduce(1, Math::multiplyExact);
    }
}
