package io.weft.device;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A tensor in host memory as a file holds it: row-major, little-endian.
 *
 * @param name for messages
 * @param type of its elements
 * @param shape outermost first
 * @param data exactly the elements; may be unaligned (a memory-mapped file)
 */
public record TensorView(String name, ElementType type, List<Integer> shape, MemorySegment data) {
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

    /** Rows of a matrix, or elements of a vector. */
    public int rows() {
        return shape.getFirst();
    }

    /** Elements of a row: the product of all extents but the first; 1 for a vector. */
    public int columns() {
        int columns = 1;
        for (int extent : shape.subList(1, shape.size())) {
            columns *= extent;
        }
        return columns;
    }

    /** The rows {@code [from, from + count)}, without copying. */
    public TensorView rows(int from, int count) {
        List<Integer> sliced = new java.util.ArrayList<>(shape);
        sliced.set(0, count);
        long rowBytes = (long) columns() * type.bytes();
        return new TensorView(name, type, sliced, data.asSlice(from * rowBytes, count * rowBytes));
    }
}
