package io.weft.cache;

import io.weft.device.DeviceBuffer;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Device memory for blocks, which come from its end, and for rings, which come from its start: so that blocks that come
 * and go leave room for something longer.
 */
final class DevicePool {
    private final DeviceBuffer memory;
    private final ExtentAllocator extents;

    /**
     * Hands out {@code memory}, up to the last address of this alignment: blocks of sizes that have it are aligned,
     * too.
     */
    DevicePool(DeviceBuffer memory, long alignmentBytes) {
        this.memory = memory;
        this.extents = new ExtentAllocator(memory.bytes() / alignmentBytes * alignmentBytes);
    }

    /** Memory for a block; nothing is always there. */
    Optional<DeviceBuffer> allocate(long bytes) {
        return bytes == 0 ? nothing() : slice(extents.allocateFromEnd(bytes), bytes);
    }

    /** Memory for a ring; nothing is always there. */
    Optional<DeviceBuffer> allocateRing(long bytes) {
        return bytes == 0 ? nothing() : slice(extents.allocate(bytes), bytes);
    }

    private Optional<DeviceBuffer> nothing() {
        return Optional.of(memory.slice(0, 0));
    }

    private Optional<DeviceBuffer> slice(OptionalLong offset, long bytes) {
        return offset.isPresent() ? Optional.of(memory.slice(offset.getAsLong(), bytes)) : Optional.empty();
    }

    void free(DeviceBuffer block) {
        if (block.bytes() == 0) {
            return;
        }
        extents.free(block.address() - memory.address(), block.bytes());
    }

    /** The memory of the whole pool. */
    DeviceBuffer memory() {
        return memory;
    }

    long usedBytes() {
        return extents.usedBytes();
    }

    long bytes() {
        return extents.bytes();
    }
}
