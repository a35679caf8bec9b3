package io.weft.device.cuda;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.weft.device.DeviceException;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The place where kernels report an index that is out of range: 16 bytes of pinned host memory, {@code (row << 8 |
 * kind, value)}; kind 0 is none. Kernels check nothing else.
 */
final class FaultRecord {
    static final long BYTES = 2 * Long.BYTES;

    private static final int KIND_MASK = 0xff;
    private static final int ROW_SHIFT = 8;

    private final MemorySegment memory;

    FaultRecord(MemorySegment memory) {
        this.memory = memory;
        memory.fill((byte) 0);
    }

    /** The address for kernels: host memory has the same address on the device. */
    long address() {
        return memory.address();
    }

    /** The last reported fault; null if there is none. */
    @Nullable
    DeviceException fault() {
        long record = memory.get(JAVA_LONG, 0);
        int kind = (int) (record & KIND_MASK);
        if (kind == 0) {
            return null;
        }
        long row = record >>> ROW_SHIFT;
        long value = memory.get(JAVA_LONG, Long.BYTES);
        return new DeviceException(
                switch (kind) {
                    case 1 -> "embed, row %d: token %d is not in the vocabulary".formatted(row, value);
                    case 2 -> "embed, row %d: position %d has no learned embedding".formatted(row, value);
                    case 3 -> "rotate, row %d: position %d is not in the rotary table".formatted(row, value);
                    case 4 -> "scatterRows, row %d: offset %d lies outside the buffer".formatted(row, value);
                    case 5 -> "gatherRows, row %d: offset %d lies outside the buffer".formatted(row, value);
                    case 6 -> "chooseTokens, row %d: edited token %d is not in the vocabulary".formatted(row, value);
                    case 7 -> "experts, row %d: expert %d does not exist".formatted(row, value);
                    case 8 -> "blocks, block %d: offset %d lies outside the buffer".formatted(row, value);
                    default -> "row %d: fault %d with value %d".formatted(row, kind, value);
                });
    }
}
