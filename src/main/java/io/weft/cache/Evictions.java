package io.weft.cache;

/**
 * Blocks that gave up their memory, since the start.
 *
 * @param fromDevice those that left device memory
 * @param fromHost those that left host memory
 */
public record Evictions(long fromDevice, long fromHost) {}
