package io.weft.device.cuda;

import io.weft.device.ElementType;
import io.weft.device.WeightEncoding;

/**
 * Quantised weights (N, K) in device memory, as {@code codes.cuh} lays them out.
 *
 * @param encoding how they are stored
 * @param codes address of the codes
 * @param scales address of a word a row and group
 * @param groupShift columns of a group, as a power of two; {@value #WHOLE_ROW_SHIFT} if a row has one group
 */
record QuantisedMemory(WeightEncoding encoding, long codes, long scales, int groupShift) {
    /** Rows of a tile. */
    static final int TILE_ROWS = 8;

    private static final int UNIT_BYTES = 512;
    private static final int GROUP_COLUMNS_LEAST = 32;
    private static final int WHOLE_ROW_SHIFT = 31;

    /** Whether the kernels read matrices of so many columns in this encoding. */
    static boolean holds(WeightEncoding encoding, int columns) {
        boolean groups = encoding.groupColumns() >= columns
                || (encoding.groupColumns() >= GROUP_COLUMNS_LEAST && Integer.bitCount(encoding.groupColumns()) == 1);
        return groups
                && switch (encoding.code()) {
                    // Beside a zero there is room for 16 bits of scale.
                    case INT4, INT8 -> encoding.scaleType() != ElementType.F32;
                    case FP8_E4M3, FP4_E2M1 -> true;
                };
    }

    /** Memory from an address on; it takes {@link #codeBytes} and {@link #scaleBytes}. */
    static QuantisedMemory at(long address, WeightEncoding encoding, int rows, int columns) {
        int shift = encoding.groupColumns() >= columns
                ? WHOLE_ROW_SHIFT
                : Integer.numberOfTrailingZeros(encoding.groupColumns());
        return new QuantisedMemory(encoding, address, address + codeBytes(encoding, rows, columns), shift);
    }

    /** Bytes of the codes: whole units of {@value #UNIT_BYTES} bytes for each tile. */
    static long codeBytes(WeightEncoding encoding, int rows, int columns) {
        int unitColumns = UNIT_BYTES * Byte.SIZE / encoding.code().bits() / TILE_ROWS;
        return (long) tiles(rows) * Math.ceilDiv(columns, unitColumns) * UNIT_BYTES;
    }

    /** Bytes of the scales. */
    static long scaleBytes(WeightEncoding encoding, int rows, int columns) {
        return (long) tiles(rows) * encoding.groups(columns) * TILE_ROWS * Integer.BYTES;
    }

    private static int tiles(int rows) {
        return Math.ceilDiv(rows, TILE_ROWS);
    }

    /** The number of the type of the scales' words in {@code quantised.cuh}. */
    int scaleType() {
        return switch (encoding.code()) {
            case FP8_E4M3, FP4_E2M1 -> 0;
            case INT4, INT8 -> encoding.scaleType() == ElementType.BF16 ? 2 : 1;
        };
    }
}
