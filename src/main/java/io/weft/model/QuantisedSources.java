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
    /** Words of a few cache lines, which are read and written together. */
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
            int[] read = new int[BLOCK * BLOCK];
            int[] write = new int[BLOCK * BLOCK];
            for (int row = 0; row < rows; row += BLOCK) {
                int blockRows = Math.min(BLOCK, rows - row);
                for (int word = 0; word < words; word += BLOCK) {
                    int blockWords = Math.min(BLOCK, words - word);
                    for (int i = 0; i < blockWords; i++) {
                        long at = (word + i) * pitch + (long) (fromRow + row) * Integer.BYTES;
                        MemorySegment.copy(codes.data(), INT, at, read, i * BLOCK, blockRows);
                    }
                    for (int j = 0; j < blockRows; j++) {
                        for (int i = 0; i < blockWords; i++) {
                            write[j * BLOCK + i] = read[i * BLOCK + j];
                        }
                    }
                    for (int j = 0; j < blockRows; j++) {
                        long at = (row + j) * rowBytes + (long) word * Integer.BYTES;
                        MemorySegment.copy(write, j * BLOCK, to, INT, at, blockWords);
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
        /** Rows of a word, and columns whose codes make up a word of ours. */
        private static final int STEP = 8;
        /** Words that fill a cache line. */
        private static final int AWQ_BLOCK = 16;

        private static final int CODE_BITS = 4;
        private static final int CODE = 0xf;
        /** The row of each code of a word, lowest bits first. */
        private static final int[] ROWS = {0, 2, 4, 6, 1, 3, 5, 7};
        /** The place of each row's code in a word. */
        private static final int[] PLACES = {0, 4, 1, 5, 2, 6, 3, 7};

        @Override
        public void codes(int fromRow, int rows, MemorySegment to) {
            int steps = codes.shape().get(0) / STEP;
            int firstWord = fromRow / STEP;
            int lastWord = (fromRow + rows + STEP - 1) / STEP;
            // Of the eight columns of a step: (steps, words of rows).
            int[][] columns = new int[STEP][AWQ_BLOCK * AWQ_BLOCK];
            int[] line = new int[AWQ_BLOCK];
            for (int word = firstWord; word < lastWord; word += AWQ_BLOCK) {
                int blockWords = Math.min(AWQ_BLOCK, lastWord - word);
                for (int step = 0; step < steps; step += AWQ_BLOCK) {
                    int blockSteps = Math.min(AWQ_BLOCK, steps - step);
                    read(word, blockWords, step, blockSteps, columns);
                    transpose(columns);
                    for (int i = 0; i < blockWords * STEP; i++) {
                        int row = word * STEP + i / STEP * STEP + ROWS[i % STEP] - fromRow;
                        if (row >= 0 && row < rows) {
                            for (int j = 0; j < blockSteps; j++) {
                                line[j] = columns[i % STEP][j * AWQ_BLOCK + i / STEP];
                            }
                            long at = ((long) row * steps + step) * Integer.BYTES;
                            MemorySegment.copy(line, 0, to, INT, at, blockSteps);
                        }
                    }
                }
            }
        }

        private void read(int word, int words, int step, int steps, int[][] columns) {
            long pitch = (long) codes.shape().get(1) * Integer.BYTES;
            for (int column = 0; column < steps * STEP; column++) {
                long at = (step * STEP + column) * pitch + (long) word * Integer.BYTES;
                MemorySegment.copy(codes.data(), INT, at, columns[column % STEP], column / STEP * AWQ_BLOCK, words);
            }
        }

        /** Transposes 8 by 8 codes: code p of word i becomes code i of word p, for all words of the arrays. */
        private static void transpose(int[][] words) {
            for (int i = 0; i < STEP; i += 2) {
                swap(words[i], words[i + 1], CODE_BITS, 0x0f0f0f0f);
            }
            for (int i = 0; i < STEP; i += 4) {
                swap(words[i], words[i + 2], 2 * CODE_BITS, 0x00ff00ff);
                swap(words[i + 1], words[i + 3], 2 * CODE_BITS, 0x00ff00ff);
            }
            for (int i = 0; i < STEP / 2; i++) {
                swap(words[i], words[i + STEP / 2], 4 * CODE_BITS, 0x0000ffff);
            }
        }

        /** Swaps the codes {@code shift} bits above the mask in one word with those at the mask in the other. */
        private static void swap(int[] low, int[] high, int shift, int mask) {
            for (int i = 0; i < low.length; i++) {
                int different = (low[i] >>> shift ^ high[i]) & mask;
                high[i] ^= different;
                low[i] ^= different << shift;
            }
        }

        @Override
        public void scales(int fromRow, int rows, MemorySegment to) {
            copyColumns(scales, groups, fromRow, rows, to);
        }

        @Override
        public void zeros(int fromRow, int rows, MemorySegment to) {
            long width = zeros.shape().get(1);
            for (int row = 0; row < rows; row++) {
                int shift = PLACES[(fromRow + row) % STEP] * CODE_BITS;
                for (int group = 0; group < groups; group++) {
                    int zero = zeros.word(group * width + (fromRow + row) / STEP) >>> shift & CODE;
                    to.set(ValueLayout.JAVA_BYTE, (long) row * groups + group, (byte) zero);
                }
            }
        }
    }
}
