package io.weft.cache;

/**
 * How full a pool is.
 *
 * @param usedBytes given out
 * @param totalBytes its size
 */
public record PoolUsage(long usedBytes, long totalBytes) {}
