package io.weft.cache;

/**
 * How full a pool is.
 *
 * @param usedBytes bytes in use
 * @param totalBytes size of the pool
 */
public record PoolUsage(long usedBytes, long totalBytes) {
    /** The free bytes, though perhaps not in one piece. */
    public long freeBytes() {
        return totalBytes - usedBytes;
    }
}
