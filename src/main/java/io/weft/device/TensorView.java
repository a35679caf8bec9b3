package io.weft.device;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/**
 * A tensor in host memory, in the format of files: row-major, little-endian.
 *
 * @param name for messages
 * @param type of its elements
 * @param shape outermost first
 * @param data the elements and nothing else; may be unaligned (a memory-mapped file)
 */
public record TensorView(String name, ElementType type, List<Integer> shape, MemorySegment data) implements Tensor {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int BF16_SHIFT = 16;

    public TensorView {
        shape = List.copyOf(shape);
        long elements = 1;
        for (int extent : shape) {
            elements = Math.multiplyExact(elements, (long) extent);
        }
        if (data.byteSize() != elements * type.bytes()) {
            throw new IllegalArgumentException("%s: %s of shape %s needs %d bytes, not %d"
                    .formatted(name, type, shape, elements * type.bytes(), data.byteSize()));
        }
    }

    @Override
    public float element(long index) {
        return switch (type) {
            case F32 -> data.get(FLOAT, index * Float.BYTES);
            case F16 -> Float.float16ToFloat(data.get(SHORT, index * Short.BYTES));
            case BF16 -> Float.intBitsToFloat(data.get(SHORT, index * Short.BYTES) << BF16_SHIFT);
        };
    }

    /** Part {@code index} of the outermost extent, which the result lacks, without copying. */
    public TensorView at(int index) {
        long partBytes = (long) columns() * type.bytes();
        return new TensorView(name, type, shape.subList(1, shape.size()), data.asSlice(index * partBytes, partBytes));
    }

    @Override
    public TensorView rows(int from, int count) {
        List<Integer> sliced = new java.util.ArrayList<>(shape);
        sliced.set(0, count);
        long rowBytes = (long) columns() * type.bytes();
        return new TensorView(name, type, sliced, data.asSlice(from * rowBytes, count * rowBytes));
    }
}
