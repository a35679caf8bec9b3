package io.weft.device;

import java.util.List;

/** Weights on their way to a device: row-major, read once. */
public sealed interface Tensor permits TensorView, StridedView, RandomTensor, QuantisedTensor {
    /** The tensor's name in messages. */
    String name();

    /** Extents, outermost first. */
    List<Integer> shape();

    /** Element {@code index} of the row-major order, widened to fp32. */
    float element(long index);

    /** The number of rows of a matrix, or of elements of a vector. */
    default int rows() {
        return shape().getFirst();
    }

    /** Elements of a row: the product of all extents but the first; 1 for a vector. */
    default int columns() {
        int columns = 1;
        for (int extent : shape().subList(1, shape().size())) {
            columns *= extent;
        }
        return columns;
    }

    /** The rows {@code [from, from + count)}, without copying. */
    Tensor rows(int from, int count);

    /** The number of elements. */
    default long elements() {
        return (long) rows() * columns();
    }
}
