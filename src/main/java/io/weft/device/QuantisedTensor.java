package io.weft.device;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;

/**
 * A quantised matrix, read row by row in one form whatever form its file has: nothing is held but what the source maps.
 *
 * @param name for messages
 * @param rows number of rows
 * @param columns width of a row
 * @param encoding how its elements are stored
 * @param source the rows, of which this has those from {@code firstRow} on
 * @param firstRow first row of the source
 */
public record QuantisedTensor(String name, int rows, int columns, WeightEncoding encoding, Source source, int firstRow)
        implements Tensor {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int NIBBLE_BITS = 4;
    private static final int NIBBLE = 0xf;
    private static final int BYTE = 0xff;

    /** Reads rows of a quantised matrix; threads may read different rows at once. */
    public interface Source {
        /**
         * Writes codes, row-major: (rows, {@link WeightEncoding#rowBytes}). Of two 4-bit codes in a byte, the lower
         * bits hold the first; codes after the last column are undefined.
         */
        void codes(int fromRow, int rows, MemorySegment to);

        /** Writes scales: (rows, groups) fp32. */
        void scales(int fromRow, int rows, MemorySegment to);

        /**
         * Writes zeros: (rows, groups) bytes. It is called only if the encoding has {@link WeightEncoding.Zero#GROUP}.
         */
        void zeros(int fromRow, int rows, MemorySegment to);
    }

    public QuantisedTensor {
        if (rows < 0 || columns < 1 || firstRow < 0) {
            throw new IllegalArgumentException(
                    "%s: rows from %d, shape [%d, %d]".formatted(name, firstRow, rows, columns));
        }
    }

    /** A whole source. */
    public QuantisedTensor(String name, int rows, int columns, WeightEncoding encoding, Source source) {
        this(name, rows, columns, encoding, source, 0);
    }

    /** The encoding that all of these have; empty if one differs or is not quantised. */
    public static Optional<WeightEncoding> encodingOf(List<? extends Tensor> tensors) {
        List<Optional<WeightEncoding>> encodings = tensors.stream()
                .map(tensor -> switch (tensor) {
                    case QuantisedTensor quantised -> Optional.of(quantised.encoding());
                    case TensorView _, StridedView _ -> Optional.<WeightEncoding>empty();
                    case RandomTensor random -> Optional.<WeightEncoding>empty();
                })
                .distinct()
                .toList();
        return encodings.size() == 1 ? encodings.getFirst() : Optional.empty();
    }

    @Override
    public List<Integer> shape() {
        return List.of(rows, columns);
    }

    /** Reads the row that holds the element: {@link #dequantise} is the way to read many. */
    @Override
    public float element(long index) {
        MemorySegment row = MemorySegment.ofArray(new float[columns]);
        dequantise((int) (index / columns), 1, row);
        return row.get(FLOAT, index % columns * Float.BYTES);
    }

    @Override
    public QuantisedTensor rows(int from, int count) {
        if (from < 0 || count < 0 || from + count > rows) {
            throw new IllegalArgumentException("%s: rows [%d, %d) of %d".formatted(name, from, from + count, rows));
        }
        return new QuantisedTensor(name, count, columns, encoding, source, firstRow + from);
    }

    /** Rows {@code from, from + step, …}, without copying: of a matrix whose rows are those of several in turn. */
    public QuantisedTensor rowsApart(int from, int step) {
        if (from < 0 || from >= rows || step < 1) {
            throw new IllegalArgumentException("%s: every %d rows from %d of %d".formatted(name, step, from, rows));
        }
        int count = Math.ceilDiv(rows - from, step);
        return new QuantisedTensor(
                name, count, columns, encoding, new RowsApart(source, encoding, columns, firstRow + from, step));
    }

    /** Rows of a source, {@code step} apart. */
    private record RowsApart(Source source, WeightEncoding encoding, int columns, int first, int step)
            implements Source {
        /** Writes one row. */
        @FunctionalInterface
        private interface Row {
            void write(int row, int rows, MemorySegment to);
        }

        @Override
        public void codes(int fromRow, int rows, MemorySegment to) {
            each(fromRow, rows, encoding.rowBytes(columns), to, source::codes);
        }

        @Override
        public void scales(int fromRow, int rows, MemorySegment to) {
            each(fromRow, rows, (long) encoding.groups(columns) * Float.BYTES, to, source::scales);
        }

        @Override
        public void zeros(int fromRow, int rows, MemorySegment to) {
            each(fromRow, rows, encoding.groups(columns), to, source::zeros);
        }

        private void each(int fromRow, int rows, long rowBytes, MemorySegment to, Row write) {
            for (int row = 0; row < rows; row++) {
                write.write(first + (fromRow + row) * step, 1, to.asSlice(row * rowBytes, rowBytes));
            }
        }
    }

    /** Writes elements of some rows: (count, columns) fp32, little-endian. */
    public void dequantise(int from, int count, MemorySegment to) {
        Decoder decoder = new Decoder(encoding, columns);
        int groups = encoding.groups(columns);
        byte[] codes = new byte[Math.toIntExact(encoding.rowBytes(columns))];
        float[] scales = new float[groups];
        byte[] zeros = new byte[groups];
        float[] values = new float[columns];
        for (int row = 0; row < count; row++) {
            source.codes(firstRow + from + row, 1, MemorySegment.ofArray(codes));
            source.scales(firstRow + from + row, 1, MemorySegment.ofArray(scales));
            if (encoding.zero() == WeightEncoding.Zero.GROUP) {
                source.zeros(firstRow + from + row, 1, MemorySegment.ofArray(zeros));
            }
            decoder.decode(codes, scales, zeros, values);
            MemorySegment.copy(values, 0, to, FLOAT, (long) row * columns * Float.BYTES, columns);
        }
    }

    /** Makes elements of a row's codes. */
    public static final class Decoder {
        private final WeightEncoding encoding;
        private final int columns;
        private final float[] values;

        public Decoder(WeightEncoding encoding, int columns) {
            this.encoding = encoding;
            this.columns = columns;
            this.values = new float[1 << encoding.code().bits()];
            for (int code = 0; code < values.length; code++) {
                values[code] = encoding.code().value(code);
            }
        }

        /**
         * Decodes a row.
         *
         * @param codes as {@link Source#codes} writes them
         * @param scales (groups)
         * @param zeros (groups); ignored unless the encoding has {@link WeightEncoding.Zero#GROUP}
         * @param to (columns)
         */
        public void decode(byte[] codes, float[] scales, byte[] zeros, float[] to) {
            for (int group = 0; group < scales.length; group++) {
                float zero = switch (encoding.zero()) {
                    case MIDDLE -> encoding.code().middle();
                    case GROUP -> zeros[group] & BYTE;
                };
                int from = group * encoding.groupColumns();
                int end = (int) Math.min(columns, (long) from + encoding.groupColumns());
                if (encoding.code().bits() == NIBBLE_BITS) {
                    for (int k = from; k < end; k++) {
                        int code = codes[k / 2] >> (k % 2 * NIBBLE_BITS) & NIBBLE;
                        to[k] = (values[code] - zero) * scales[group];
                    }
                } else {
                    for (int k = from; k < end; k++) {
                        to[k] = (values[codes[k] & BYTE] - zero) * scales[group];
                    }
                }
            }
        }
    }
}
