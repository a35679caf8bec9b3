package io.weft.device.cuda;

import io.weft.device.DeviceBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.function.Function;

/**
 * Memory of a kind that streams use one at a time. The first stream that needs some gets what was allocated at start;
 * others get memory outside the budget, which may be full by then.
 */
final class ScratchPool {
    private final Function<String, DeviceBuffer> allocate;
    private final Deque<DeviceBuffer> free = new ArrayDeque<>();

    /** @param allocate allocates outside the budget for the stream with a name */
    ScratchPool(Function<String, DeviceBuffer> allocate) {
        this.allocate = allocate;
    }

    /** Memory of at least so many bytes for a stream. */
    DeviceBuffer take(String stream, long bytes) {
        return poll(bytes).orElseGet(() -> allocate.apply(stream));
    }

    private synchronized Optional<DeviceBuffer> poll(long bytes) {
        Optional<DeviceBuffer> enough =
                free.stream().filter(buffer -> buffer.bytes() >= bytes).findFirst();
        enough.ifPresent(free::remove);
        return enough;
    }

    /** Takes memory that nobody uses out of the pool; false if a stream has it. */
    synchronized boolean remove(DeviceBuffer buffer) {
        return free.remove(buffer);
    }

    synchronized void giveBack(DeviceBuffer buffer) {
        free.add(buffer);
    }
}
