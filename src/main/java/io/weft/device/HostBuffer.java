package io.weft.device;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A range of host memory that the link can read and write: page-locked on a device with a real link.
 *
 * @param segment the memory; native, so its address is stable
 */
public record HostBuffer(MemorySegment segment) {
    public HostBuffer {
        if (!segment.isNative()) {
            throw new IllegalArgumentException("a host buffer must be native memory");
        }
    }

    /** Length in bytes. */
    public long bytes() {
        return segment.byteSize();
    }

    /** Address of the first byte. */
    public long address() {
        return segment.address();
    }

    /** The total length of some buffers in bytes. */
    public static long bytes(List<HostBuffer> buffers) {
        long bytes = 0;
        for (HostBuffer buffer : buffers) {
            bytes += buffer.bytes();
        }
        return bytes;
    }

    /** The {@code bytes} bytes that start {@code offset} bytes into this buffer. */
    public HostBuffer slice(long offset, long bytes) {
        return new HostBuffer(segment.asSlice(offset, bytes));
    }
}
