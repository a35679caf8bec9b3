package io.weft.device.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.weft.device.DeviceRows;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A {@code CUDA_MEMCPY2D} within device memory. */
final class RowCopy {
    // The layout, for the source and then for the destination: x (bytes), y, type of memory (int), host, device, array,
    // pitch (bytes); then bytes of a row and rows.
    private static final long BYTES = 128;
    private static final long FROM_TYPE_AT = 16;
    private static final long FROM_ADDRESS_AT = 32;
    private static final long FROM_PITCH_AT = 48;
    private static final long TO_TYPE_AT = 72;
    private static final long TO_ADDRESS_AT = 88;
    private static final long TO_PITCH_AT = 104;
    private static final long ROW_BYTES_AT = 112;
    private static final long ROWS_AT = 120;
    private static final int DEVICE_MEMORY = 2;

    private RowCopy() {}

    /** The structure for a copy between rows of equal number and length; the driver reads it during the call. */
    static MemorySegment of(DeviceRows from, DeviceRows to, Arena arena) {
        MemorySegment copy = arena.allocate(BYTES, Long.BYTES);
        copy.set(JAVA_INT, FROM_TYPE_AT, DEVICE_MEMORY);
        copy.set(JAVA_LONG, FROM_ADDRESS_AT, from.memory().address());
        copy.set(JAVA_LONG, FROM_PITCH_AT, from.pitchBytes());
        copy.set(JAVA_INT, TO_TYPE_AT, DEVICE_MEMORY);
        copy.set(JAVA_LONG, TO_ADDRESS_AT, to.memory().address());
        copy.set(JAVA_LONG, TO_PITCH_AT, to.pitchBytes());
        copy.set(JAVA_LONG, ROW_BYTES_AT, from.rowBytes());
        copy.set(JAVA_LONG, ROWS_AT, from.rows());
        return copy;
    }
}
