package io.weft.cache;

import io.weft.device.HostBuffer;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/** Host memory for blocks, in slabs: an extent lies in one slab. */
final class HostPool {
    private record Slab(HostBuffer memory, ExtentAllocator extents) {}

    /** Host memory in use. */
    record Extent(int slab, long offset, HostBuffer memory) {}

    private final List<Slab> slabs;

    HostPool(List<HostBuffer> memory) {
        this.slabs = memory.stream()
                .map(slab -> new Slab(slab, new ExtentAllocator(slab.bytes())))
                .toList();
    }

    Optional<Extent> allocate(long bytes) {
        for (int i = 0; i < slabs.size(); i++) {
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
        long all = slabs.stream().mapToLong(slab -> slab.extents().bytes()).sum();
        return new PoolUsage(used, all);
    }
}
