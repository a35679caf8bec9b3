package io.weft.cache;

import io.weft.device.DeviceBuffer;
import java.util.Optional;
import java.util.OptionalLong;

/** Device memory for blocks. */
final class DevicePool {
    private final DeviceBuffer memory;
    private final ExtentAllocator extents;

    DevicePool(DeviceBuffer memory) {
        this.memory = memory;
        this.extents = new ExtentAllocator(memory.bytes());
    }

    /** Memory of this size; nothing is always there. */
    Optional<DeviceBuffer> allocate(long bytes) {
        if (bytes == 0) {
            return Optional.of(memory.slice(0, 0));
        }
        OptionalLong offset = extents.allocate(bytes);
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

    PoolUsage usage() {
        return new PoolUsage(extents.usedBytes(), extents.bytes());
    }
}
