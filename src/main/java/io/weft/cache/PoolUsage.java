package io.weft.cache;

/**
 * How full a pool is.
 *
 * @param usedBytes given out
 * @param totalBytes its size
 */
public record PoolUsage(long usedBytes, long totalBytes) {
    /** What is left, though perhaps not in one piece. */
    public long freeBytes() {
        return totalBytes - usedBytes;
    }
}
