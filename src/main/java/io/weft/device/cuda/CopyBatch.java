package io.weft.device.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Copies to the device that are issued together: one call costs the issuing thread about as much as one copy, and the
 * link has no pause between them. Belongs to one stream.
 */
final class CopyBatch {
    private static final int CAPACITY_LEAST = 64;

    // CUmemcpyAttributes: source access order (int), two locations (type, id: ints), flags (int)
    private static final long ATTRIBUTES_BYTES = 24;
    private static final long FLAGS_AT = 20;
    private static final int SOURCE_IN_STREAM_ORDER = 1;
    /** Leaves the multiprocessors to kernels. */
    private static final int OVERLAP_WITH_COMPUTE = 1;

    private final Arena arena;
    private final MemorySegment attributes;
    private final MemorySegment firstAttribute;
    private MemorySegment destinations;
    private MemorySegment sources;
    private MemorySegment sizes;
    private int capacity;
    private int count;

    /** @param arena holds the arrays; they are replaced by larger ones when needed */
    CopyBatch(Arena arena) {
        this.arena = arena;
        this.attributes = arena.allocate(ATTRIBUTES_BYTES, Integer.BYTES);
        attributes.set(JAVA_INT, 0, SOURCE_IN_STREAM_ORDER);
        attributes.set(JAVA_INT, FLAGS_AT, OVERLAP_WITH_COMPUTE);
        this.firstAttribute = arena.allocate(JAVA_LONG);
        this.capacity = CAPACITY_LEAST;
        this.destinations = arena.allocate(JAVA_LONG, capacity);
        this.sources = arena.allocate(JAVA_LONG, capacity);
        this.sizes = arena.allocate(JAVA_LONG, capacity);
    }

    /** Forgets the copies of the previous batch. */
    void start() {
        count = 0;
    }

    /** Adds a copy, unless it is empty. */
    void add(long to, long from, long bytes) {
        if (bytes == 0) {
            return;
        }
        if (count == capacity) {
            capacity *= 2;
            destinations = grown(destinations);
            sources = grown(sources);
            sizes = grown(sizes);
        }
        destinations.setAtIndex(JAVA_LONG, count, to);
        sources.setAtIndex(JAVA_LONG, count, from);
        sizes.setAtIndex(JAVA_LONG, count++, bytes);
    }

    private MemorySegment grown(MemorySegment array) {
        return arena.allocate(JAVA_LONG, capacity).copyFrom(array);
    }

    /**
     * Issues the copies, in one call if the driver supports it (CUDA 13 or newer).
     *
     * @throws io.weft.device.DeviceException if the driver refuses one
     */
    void issue(CudaStream stream) {
        if (count > 1 && DriverCalls.copiesInBatches()) {
            DriverCalls.copyBatch(destinations, sources, sizes, count, attributes, firstAttribute, stream);
            return;
        }
        for (int i = 0; i < count; i++) {
            DriverCalls.copyToDevice(
                    destinations.getAtIndex(JAVA_LONG, i),
                    sources.getAtIndex(JAVA_LONG, i),
                    sizes.getAtIndex(JAVA_LONG, i),
                    stream);
        }
    }
}
