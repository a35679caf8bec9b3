package io.weft.cache;

/**
 * How full the cache is.
 *
 * @param open device memory for the newest tokens
 * @param device device memory for full blocks
 * @param host host memory for full blocks
 * @param copyBytes device memory of {@linkplain CacheSequence#promote copies}, a part of what is used there
 */
public record CacheUsage(PoolUsage open, PoolUsage device, PoolUsage host, long copyBytes) {
    /** Once all copies are given back, which costs nothing. */
    public CacheUsage withoutCopies() {
        return new CacheUsage(
                open,
                new PoolUsage(device.usedBytes() - copyBytes, device.idleBytes(), device.totalBytes(), 0),
                host,
                0);
    }

    /** Once all host memory is there, of which the link does not reach some yet. */
    public CacheUsage withComingMemory() {
        return new CacheUsage(
                open, device, new PoolUsage(host.usedBytes(), host.idleBytes(), host.totalBytes(), 0), copyBytes);
    }
}
