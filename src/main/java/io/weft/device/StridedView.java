package io.weft.device;

import java.util.ArrayList;
import java.util.List;

/**
 * Every so many rows, or columns, of a tensor in host memory: for checkpoints that interleave the rows of two matrices,
 * or store a matrix transposed.
 *
 * @param source the tensor, of one or two extents
 * @param shape (rows, columns) or (rows)
 * @param first index in {@code source} of the first element
 * @param rowStride elements of {@code source} from a row to the next
 * @param columnStride elements of {@code source} from a column to the next
 */
public record StridedView(TensorView source, List<Integer> shape, long first, long rowStride, long columnStride)
        implements Tensor {
    public StridedView {
        shape = List.copyOf(shape);
        long last = first;
        last += (shape.getFirst() - 1) * rowStride;
        last += shape.size() > 1 ? (shape.get(1) - 1) * columnStride : 0;
        if (shape.size() > 2 || first < 0 || rowStride < 1 || columnStride < 1 || last >= source.elements()) {
            throw new IllegalArgumentException("%s: elements %d to %d of shape %s are not in one of shape %s"
                    .formatted(source.name(), first, last, shape, source.shape()));
        }
    }

    /** Rows {@code from, from + step, …} of a matrix, or such elements of a vector. */
    public static StridedView ofRows(TensorView source, int from, int step) {
        int rows = Math.ceilDiv(source.rows() - from, step);
        int columns = source.columns();
        return new StridedView(
                source,
                source.shape().size() == 1 ? List.of(rows) : List.of(rows, columns),
                (long) from * columns,
                (long) step * columns,
                1);
    }

    /** Columns {@code from, from + step, …} of a matrix, as rows. */
    public static StridedView ofColumns(TensorView source, int from, int step) {
        int columns = source.columns();
        int rows = Math.ceilDiv(columns - from, step);
        return new StridedView(source, List.of(rows, source.rows()), from, step, columns);
    }

    @Override
    public String name() {
        return source.name();
    }

    /** Index in {@link #source} of element {@code index} of the row-major order. */
    public long sourceIndex(long index) {
        int columns = columns();
        return first + index / columns * rowStride + index % columns * columnStride;
    }

    @Override
    public StridedView rows(int from, int count) {
        List<Integer> sliced = new ArrayList<>(shape);
        sliced.set(0, count);
        return new StridedView(source, sliced, first + from * rowStride, rowStride, columnStride);
    }

    @Override
    public float element(long index) {
        return source.element(sourceIndex(index));
    }
}
