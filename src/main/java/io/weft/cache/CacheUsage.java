package io.weft.cache;

/**
 * How full the cache is.
 *
 * @param open device memory for the newest tokens
 * @param device device memory for full blocks
 * @param host host memory for full blocks
 */
public record CacheUsage(PoolUsage open, PoolUsage device, PoolUsage host) {}
