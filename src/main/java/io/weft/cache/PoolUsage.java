package io.weft.cache;

/**
 * How full a pool is.
 *
 * @param usedBytes bytes in use
 * @param totalBytes size of the pool, with the bytes to come
 * @param comingBytes bytes that cannot be used yet
 */
public record PoolUsage(long usedBytes, long totalBytes, long comingBytes) {
    /** A pool all of which is there. */
    public PoolUsage(long usedBytes, long totalBytes) {
        this(usedBytes, totalBytes, 0);
    }

    /** The free bytes, though perhaps not in one piece. */
    public long freeBytes() {
        return totalBytes - usedBytes - comingBytes;
    }
}
