package io.weft.cache;

/**
 * How full a pool is.
 *
 * @param usedBytes bytes that sequences use
 * @param idleBytes bytes of blocks that no sequence uses; they give way to those that are wanted
 * @param totalBytes size of the pool, with the bytes to come
 * @param comingBytes bytes that cannot be used yet
 */
public record PoolUsage(long usedBytes, long idleBytes, long totalBytes, long comingBytes) {
    /** A pool all of which is there. */
    public PoolUsage(long usedBytes, long totalBytes) {
        this(usedBytes, 0, totalBytes, 0);
    }

    /** The bytes that can be had, though perhaps not in one piece. */
    public long freeBytes() {
        return totalBytes - usedBytes - comingBytes;
    }
}
