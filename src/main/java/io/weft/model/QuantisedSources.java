package io.weft.model;

import io.weft.device.QuantisedTensor;
import io.weft.device.WeightCode;
import io.weft.model.QuantisedReader.Grid;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Optional;

/** Rows of the forms in which files have quantised matrices. The data is that of mapped files. */
final class QuantisedSources {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int WORD_BITS = 32;
    /** Columns of a file that are read together: a few cache lines of each of its rows. */
    private static final int BLOCK = 32;

    private QuantisedSources() {}

    private static void copyScales(Grid grid, int fromRow, int rows, MemorySegment to) {
        for (int row = 0; row < rows; row++) {
            long from = (long) ((fromRow + row) / grid.blockRows()) * grid.across();
            long at = (long) row * grid.across() * Float.BYTES;
            for (int group = 0; group < grid.across(); group++) {
                to.set(FLOAT, at + (long) group * Float.BYTES, grid.scales().number(from + group));
            }
        }
    }

    /**
     * Codes row by row, as they are.
     *
     * @param codes (rows, rowBytes)
     * @param flip bits in which the file's codes differ from ours: the sign of signed integers
     */
    record Bytes(StoredTensor codes, long rowBytes, int flip, Grid grid) implements QuantisedTensor.Source {
        @Override
        public void codes(int fromRow, int rows, MemorySegment to) {
            MemorySegment from = codes.data().asSlice(fromRow * rowBytes, rows * rowBytes);
            to.copyFrom(from);
            if (flip != 0) {
                for (long i = 0; i < from.byteSize(); i++) {
                    to.set(ValueLayout.JAVA_BYTE, i, (byte) (to.get(ValueLayout.JAVA_BYTE, i) ^ flip));
                }
            }
        }

        @Override
        public void scales(int fromRow, int rows, MemorySegment to) {
            copyScales(grid, fromRow, rows, to);
        }

        @Override
        public void zeros(int fromRow, int rows, MemorySegment to) {
            throw new IllegalStateException(codes.name() + " has no zeros of groups");
        }
    }

    /**
     * Codes row by row in words, the first in the lowest bits, which are bytes in this order too.
     *
     * @param codes (rows, words)
     * @param rowBytes of a row without the padding of its last word
     * @param zeros (⌈rows / codes of a word⌉, groups): words of neighbouring rows
     */
    record RowWords(StoredTensor codes, long rowBytes, Grid grid, Optional<StoredTensor> zeros, WeightCode code)
            implements QuantisedTensor.Source {
        @Override
        public void codes(int fromRow, int rows, MemorySegment to) {
            long pitch = (long) codes.shape().get(1) * Integer.BYTES;
            if (pitch == rowBytes) {
                MemorySegment.copy(codes.data(), fromRow * pitch, to, 0, rows * pitch);
                return;
            }
            for (int row = 0; row < rows; row++) {
                MemorySegment.copy(codes.data(), (fromRow + row) * pitch, to, row * rowBytes, rowBytes);
            }
        }

        @Override
        public void scales(int fromRow, int rows, MemorySegment to) {
            copyScales(grid, fromRow, rows, to);
        }

        @Override
        public void zeros(int fromRow, int rows, MemorySegment to) {
            StoredTensor words = zeros.orElseThrow();
            int perWord = WORD_BITS / code.bits();
            int mask = (1 << code.bits()) - 1;
            for (int row = 0; row < rows; row++) {
                int shift = (fromRow + row) % perWord * code.bits();
                long from = (long) ((fromRow + row) / perWord) * grid.across();
                for (int group = 0; group < grid.across(); group++) {
                    int zero = words.word(from + group) >>> shift & mask;
                    to.set(ValueLayout.JAVA_BYTE, (long) row * grid.across() + group, (byte) zero);
                }
            }
        }
    }

    private static void copyColumns(StoredTensor scales, int groups, int fromRow, int rows, MemorySegment to) {
        long width = scales.shape().get(1);
        for (int row = 0; row < rows; row++) {
            for (int group = 0; group < groups; group++) {
                to.set(
                        FLOAT,
                        ((long) row * groups + group) * Float.BYTES,
                        scales.number(group * width + fromRow + row));
            }
        }
    }

    /**
     * GPTQ: a word holds neighbouring codes of one of our rows, and words of neighbouring rows lie side by side.
     *
     * @param codes (words, rows)
     * @param scales (groups, rows)
     * @param zeros (groups, words of rows)
     * @param zeroOffset what is added to a stored zero; the sum wraps, as the reference's does
     */
    record ColumnWords(
            StoredTensor codes, StoredTensor scales, StoredTensor zeros, WeightCode code, int zeroOffset, int groups)
            implements QuantisedTensor.Source {
        @Override
        public void codes(int fromRow, int rows, MemorySegment to) {
            int words = codes.shape().get(0);
            long pitch = (long) codes.shape().get(1) * Integer.BYTES;
            long rowBytes = (long) words * Integer.BYTES;
            MemorySegment from = codes.data();
            for (int block = 0; block < rows; block += BLOCK) {
                int end = Math.min(rows, block + BLOCK);
                for (int word = 0; word < words; word++) {
                    long read = word * pitch + (long) fromRow * Integer.BYTES;
                    long write = (long) word * Integer.BYTES;
                    for (int row = block; row < end; row++) {
                        to.set(INT, row * rowBytes + write, from.get(INT, read + (long) row * Integer.BYTES));
                    }
                }
            }
        }

        @Override
        public void scales(int fromRow, int rows, MemorySegment to) {
            copyColumns(scales, groups, fromRow, rows, to);
        }

        @Override
        public void zeros(int fromRow, int rows, MemorySegment to) {
            int perWord = WORD_BITS / code.bits();
            int mask = (1 << code.bits()) - 1;
            long width = zeros.shape().get(1);
            for (int row = 0; row < rows; row++) {
                int shift = (fromRow + row) % perWord * code.bits();
                for (int group = 0; group < groups; group++) {
                    int zero = zeros.word(group * width + (fromRow + row) / perWord) >>> shift;
                    to.set(ValueLayout.JAVA_BYTE, (long) row * groups + group, (byte) (zero + zeroOffset & mask));
                }
            }
        }
    }

    /**
     * AWQ: a word holds a code of each of eight of our rows, in the order {@link #ROWS}.
     *
     * @param codes (columns, words of rows)
     * @param scales (groups, rows)
     * @param zeros (groups, words of rows)
     */
    record Interleaved(StoredTensor codes, StoredTensor scales, StoredTensor zeros, int groups)
            implements QuantisedTensor.Source {
        private static final int ROWS_OF_WORD = 8;
        private static final int CODE_BITS = 4;
        private static final int CODE = 0xf;
        /** The row of each code of a word, lowest bits first. */
        private static final int[] ROWS = {0, 2, 4, 6, 1, 3, 5, 7};
        /** The place of each row's code in a word. */
        private static final int[] PLACES = {0, 4, 1, 5, 2, 6, 3, 7};

        @Override
        public void codes(int fromRow, int rows, MemorySegment to) {
            int columns = codes.shape().get(0);
            long pitch = (long) codes.shape().get(1) * Integer.BYTES;
            long rowBytes = (long) columns * CODE_BITS / Byte.SIZE;
            MemorySegment from = codes.data();
            int[] words = new int[ROWS_OF_WORD];
            int firstWord = fromRow / ROWS_OF_WORD;
            int lastWord = (fromRow + rows + ROWS_OF_WORD - 1) / ROWS_OF_WORD;
            for (int block = firstWord; block < lastWord; block += BLOCK) {
                int end = Math.min(lastWord, block + BLOCK);
                for (int column = 0; column < columns; column += ROWS_OF_WORD) {
                    long write = (long) column * CODE_BITS / Byte.SIZE;
                    for (int word = block; word < end; word++) {
                        for (int i = 0; i < ROWS_OF_WORD; i++) {
                            words[i] = from.get(INT, (column + i) * pitch + (long) word * Integer.BYTES);
                        }
                        transpose(words);
                        for (int place = 0; place < ROWS_OF_WORD; place++) {
                            int row = word * ROWS_OF_WORD + ROWS[place] - fromRow;
                            if (row >= 0 && row < rows) {
                                to.set(INT, row * rowBytes + write, words[place]);
                            }
                        }
                    }
                }
            }
        }

        /** Transposes 8 by 8 codes: code p of word i becomes code i of word p. */
        private static void transpose(int[] words) {
            for (int i = 0; i < ROWS_OF_WORD; i += 2) {
                swap(words, i, 1, 0x0f0f0f0f);
            }
            for (int i = 0; i < ROWS_OF_WORD; i += 4) {
                swap(words, i, 2, 0x00ff00ff);
                swap(words, i + 1, 2, 0x00ff00ff);
            }
            for (int i = 0; i < 4; i++) {
                swap(words, i, 4, 0x0000ffff);
            }
        }

        /** Swaps the codes at {@code distance} places above the mask in one word with those at the mask in another. */
        private static void swap(int[] words, int i, int distance, int mask) {
            int shift = distance * CODE_BITS;
            int different = (words[i] >>> shift ^ words[i + distance]) & mask;
            words[i + distance] ^= different;
            words[i] ^= different << shift;
        }

        @Override
        public void scales(int fromRow, int rows, MemorySegment to) {
            copyColumns(scales, groups, fromRow, rows, to);
        }

        @Override
        public void zeros(int fromRow, int rows, MemorySegment to) {
            long width = zeros.shape().get(1);
            for (int row = 0; row < rows; row++) {
                int shift = PLACES[(fromRow + row) % ROWS_OF_WORD] * CODE_BITS;
                for (int group = 0; group < groups; group++) {
                    int zero = zeros.word(group * width + (fromRow + row) / ROWS_OF_WORD) >>> shift & CODE;
                    to.set(ValueLayout.JAVA_BYTE, (long) row * groups + group, (byte) zero);
                }
            }
        }
    }
}
