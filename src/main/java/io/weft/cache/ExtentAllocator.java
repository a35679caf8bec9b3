package io.weft.cache;

import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;

/** Hands out extents of a range of {@code bytes} bytes: first fit or last fit, neighbours merged when freed. */
final class ExtentAllocator {
    private final long bytes;
    private final TreeMap<Long, Long> freeBytesByOffset = new TreeMap<>();
    private long usedBytes;

    ExtentAllocator(long bytes) {
        if (bytes < 0) {
            throw new IllegalArgumentException("bytes is " + bytes + ", must not be negative");
        }
        this.bytes = bytes;
        if (bytes > 0) {
            freeBytesByOffset.put(0L, bytes);
        }
    }

    /** The offset of a free extent of {@code wantedBytes}, which is taken; empty if none is long enough. */
    OptionalLong allocate(long wantedBytes) {
        if (wantedBytes < 1) {
            throw new IllegalArgumentException("extent is " + wantedBytes + " bytes, must be at least 1");
        }
        for (Map.Entry<Long, Long> free : freeBytesByOffset.entrySet()) {
            if (free.getValue() >= wantedBytes) {
                return OptionalLong.of(take(free.getKey(), free.getValue(), wantedBytes));
            }
        }
        return OptionalLong.empty();
    }

    /** The same at the end of the last one that is long enough. */
    OptionalLong allocateFromEnd(long wantedBytes) {
        for (Map.Entry<Long, Long> free : freeBytesByOffset.descendingMap().entrySet()) {
            if (free.getValue() >= wantedBytes) {
                long offset = free.getKey();
                long left = free.getValue() - wantedBytes;
                if (left == 0) {
                    freeBytesByOffset.remove(offset);
                } else {
                    freeBytesByOffset.put(offset, left);
                }
                usedBytes += wantedBytes;
                return OptionalLong.of(offset + left);
            }
        }
        return OptionalLong.empty();
    }

    private long take(long offset, long freeBytes, long wantedBytes) {
        freeBytesByOffset.remove(offset);
        if (freeBytes > wantedBytes) {
            freeBytesByOffset.put(offset + wantedBytes, freeBytes - wantedBytes);
        }
        usedBytes += wantedBytes;
        return offset;
    }

    /** Gives an extent back. */
    void free(long offset, long extentBytes) {
        Map.Entry<Long, Long> before = freeBytesByOffset.lowerEntry(offset);
        Map.Entry<Long, Long> after = freeBytesByOffset.ceilingEntry(offset);
        boolean overlaps = offset < 0
                || offset + extentBytes > bytes
                || (before != null && before.getKey() + before.getValue() > offset)
                || (after != null && after.getKey() < offset + extentBytes);
        if (overlaps) {
            throw new IllegalStateException(
                    "extent of " + extentBytes + " bytes at " + offset + " is not in use as a whole");
        }
        usedBytes -= extentBytes;
        long start = offset;
        long length = extentBytes;
        if (before != null && before.getKey() + before.getValue() == offset) {
            start = before.getKey();
            length += before.getValue();
        }
        if (after != null && after.getKey() == offset + extentBytes) {
            freeBytesByOffset.remove(after.getKey());
            length += after.getValue();
        }
        freeBytesByOffset.put(start, length);
    }

    long usedBytes() {
        return usedBytes;
    }

    long bytes() {
        return bytes;
    }
}
