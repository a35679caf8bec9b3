package io.weft.device;

/**
 * Rows of equal length in device memory, with or without gaps between them.
 *
 * @param memory the memory; the first row starts at its first byte
 * @param pitchBytes from the start of a row to that of the next
 * @param rowBytes bytes of a row
 * @param rows number of rows
 */
public record DeviceRows(DeviceBuffer memory, long pitchBytes, long rowBytes, int rows) {
    public DeviceRows {
        if (rowBytes < 1 || pitchBytes < rowBytes || rows < 1 || (rows - 1) * pitchBytes + rowBytes > memory.bytes()) {
            throw new IllegalArgumentException("%d rows of %d bytes, one every %d bytes, in memory of %d bytes"
                    .formatted(rows, rowBytes, pitchBytes, memory.bytes()));
        }
    }

    /**
     * Checks that these rows can be copied to {@code to}.
     *
     * @throws IllegalArgumentException if their number or length differs
     */
    public void requireSameRows(DeviceRows to) {
        if (rows != to.rows || rowBytes != to.rowBytes) {
            throw new IllegalArgumentException("copy of %d rows of %d bytes to %d rows of %d bytes"
                    .formatted(rows, rowBytes, to.rows, to.rowBytes));
        }
    }
}
