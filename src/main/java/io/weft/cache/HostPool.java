package io.weft.cache;

import io.weft.device.HostBuffer;
import io.weft.device.HostRegion;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Host memory for blocks, in slabs: an extent lies in one slab. Slabs that the link does not reach yet are a part of
 * the pool, but not given out.
 */
final class HostPool {
    /** @param endBytes bytes from the start of the region to the slab's end */
    private record Slab(HostBuffer memory, long endBytes, ExtentAllocator extents) {}

    /** Host memory in use. */
    record Extent(int slab, long offset, HostBuffer memory) {}

    private final HostRegion region;
    private final List<Slab> slabs = new ArrayList<>();
    /** The bytes that the link will reach in the end. */
    private volatile long expectedBytes;

    /** @param slabBytes bytes of each slab but the last one, which may be shorter */
    HostPool(HostRegion region, long slabBytes) {
        this.region = region;
        this.expectedBytes = region.memory().bytes();
        for (long at = 0; at < expectedBytes; at += slabBytes) {
            long bytes = Math.min(expectedBytes - at, slabBytes);
            slabs.add(new Slab(region.memory().slice(at, bytes), at + bytes, new ExtentAllocator(bytes)));
        }
    }

    /** The number of slabs that the link reaches. */
    private int reachableSlabs() {
        long reachableBytes = region.reachableBytes();
        int count = 0;
        while (count < slabs.size() && slabs.get(count).endBytes() <= reachableBytes) {
            count++;
        }
        return count;
    }

    /** What is not reachable now will never be. */
    void endGrowth() {
        expectedBytes = endBytes(reachableSlabs());
    }

    private long endBytes(int count) {
        return count == 0 ? 0 : slabs.get(count - 1).endBytes();
    }

    Optional<Extent> allocate(long bytes) {
        int reachable = reachableSlabs();
        for (int i = 0; i < reachable; i++) {
            OptionalLong offset = slabs.get(i).extents().allocate(bytes);
            if (offset.isPresent()) {
                HostBuffer memory = slabs.get(i).memory().slice(offset.getAsLong(), bytes);
                return Optional.of(new Extent(i, offset.getAsLong(), memory));
            }
        }
        return Optional.empty();
    }

    void free(Extent extent) {
        slabs.get(extent.slab()).extents().free(extent.offset(), extent.memory().bytes());
    }

    PoolUsage usage() {
        long used = slabs.stream().mapToLong(slab -> slab.extents().usedBytes()).sum();
        long expected = expectedBytes;
        return new PoolUsage(used, 0, expected, expected - Math.min(expected, endBytes(reachableSlabs())));
    }
}
