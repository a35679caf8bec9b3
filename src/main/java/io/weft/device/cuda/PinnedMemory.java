package io.weft.device.cuda;

import io.weft.device.HostBuffer;
import io.weft.device.HostRegion;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Page-locked host memory in one piece, pinned in slabs of at most 256 MiB: pinning takes 0.4 s per GiB and thread, in
 * which the driver issues nothing. Slabs end at multiples of 256 MiB in the address space, so the address of a copy
 * alone tells where it must be cut: the driver copies within one slab at a time.
 */
final class PinnedMemory implements HostRegion {
    static final long SLAB_BYTES = 1L << 28;

    /** The most threads that pin; the driver gains little from more. */
    private static final int THREADS_MOST = 8;

    private static final int PROTECTION_READ_WRITE = 3;
    private static final int MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x4022;
    private static final long MAP_FAILED = -1;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle MMAP = LINKER.downcallHandle(
            LINKER.defaultLookup().findOrThrow("mmap"),
            FunctionDescriptor.of(
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_INT,
                    ValueLayout.JAVA_INT,
                    ValueLayout.JAVA_INT,
                    ValueLayout.JAVA_LONG));
    private static final MethodHandle MUNMAP = LINKER.downcallHandle(
            LINKER.defaultLookup().findOrThrow("munmap"),
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));

    private final CudaContext context;
    private final String purpose;
    private final long mapped;
    private final long mappedBytes;
    private final MemorySegment memory;
    private final List<Slab> slabs;
    /** In the order in which they were pinned. */
    private final List<Slab> pinned = Collections.synchronizedList(new ArrayList<>());

    private volatile long reachableBytes;
    /** Guarded by this. */
    private boolean freed;

    /** A range between two multiples of {@link #SLAB_BYTES}. */
    record Slab(long address, long bytes) {}

    /**
     * Maps {@code bytes} bytes, which takes no memory yet.
     *
     * @throws io.weft.device.DeviceException if the system has no such range of addresses
     */
    PinnedMemory(CudaContext context, String purpose, long bytes) {
        this.context = context;
        this.purpose = purpose;
        this.mappedBytes = Math.addExact(bytes, SLAB_BYTES);
        this.mapped = map(purpose, mappedBytes);
        long aligned = Math.ceilDiv(mapped, SLAB_BYTES) * SLAB_BYTES;
        this.memory = MemorySegment.ofAddress(aligned).reinterpret(bytes);
        this.slabs = slabs(aligned, bytes);
    }

    @Override
    public HostBuffer memory() {
        return new HostBuffer(memory);
    }

    @Override
    public long reachableBytes() {
        return reachableBytes;
    }

    /** One slab, on the calling thread. The device waits for it when it closes. */
    @Override
    public synchronized boolean extend() {
        if (freed || pinned.size() == slabs.size()) {
            return false;
        }
        Slab next = slabs.get(pinned.size());
        context.pin(purpose, next.address(), next.bytes());
        pinned.add(next);
        reachableBytes += next.bytes();
        return true;
    }

    /** Bytes of a copy of {@code bytes} bytes at {@code address} that stay within one slab. */
    static long bytesWithinSlab(long address, long bytes) {
        return Math.min(bytes, SLAB_BYTES - (address & (SLAB_BYTES - 1)));
    }

    /** Cuts a range at the multiples of {@link #SLAB_BYTES}. */
    static List<Slab> slabs(long address, long bytes) {
        List<Slab> slabs = new ArrayList<>();
        for (long at = address, left = bytes; left > 0; ) {
            long size = bytesWithinSlab(at, left);
            slabs.add(new Slab(at, size));
            at += size;
            left -= size;
        }
        return slabs;
    }

    /**
     * Pins everything, on several threads.
     *
     * @throws io.weft.device.DeviceException if the system or the driver refuses
     */
    synchronized void pinAll() {
        System.Logger log = System.getLogger(PinnedMemory.class.getName());
        int threads = Math.min(
                slabs.size(), Math.min(THREADS_MOST, Runtime.getRuntime().availableProcessors()));
        try (ExecutorService executor = Executors.newFixedThreadPool(Math.max(1, threads))) {
            List<Future<?>> pinning = new ArrayList<>();
            for (Slab slab : slabs) {
                pinning.add(executor.submit(() -> {
                    context.pin(purpose, slab.address(), slab.bytes());
                    // A slab that is noted here is unpinned even if the waiting thread is interrupted.
                    pinned.add(slab);
                }));
            }
            RuntimeException failure = null;
            for (Future<?> future : pinning) {
                try {
                    future.get();
                    log.log(
                            System.Logger.Level.DEBUG,
                            () -> "%s: pinned %d of %d slabs".formatted(purpose, pinned.size(), slabs.size()));
                } catch (ExecutionException e) {
                    failure = e.getCause() instanceof RuntimeException refused
                            ? refused
                            : new IllegalStateException(e.getCause());
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    failure = new IllegalStateException("interrupted while pinning memory for " + purpose, e);
                }
            }
            if (failure != null) {
                throw failure;
            }
        }
        reachableBytes = memory.byteSize();
    }

    private static long map(String purpose, long bytes) {
        long address;
        try {
            address =
                    (long) MMAP.invokeExact(0L, bytes, PROTECTION_READ_WRITE, MAP_PRIVATE_ANONYMOUS_NORESERVE, -1, 0L);
        } catch (Throwable e) {
            throw new AssertionError("mmap does not throw", e);
        }
        if (address == MAP_FAILED) {
            throw new io.weft.device.DeviceException(
                    "%s: the system has no address range of %,d bytes: lower weft.host-memory"
                            .formatted(purpose, bytes));
        }
        return address;
    }

    /** Unpins and frees the memory, after a slab that is being pinned. */
    synchronized void free() {
        freed = true;
        pinned.forEach(slab -> context.unpin(slab.address()));
        try {
            int ignored = (int) MUNMAP.invokeExact(mapped, mappedBytes);
        } catch (Throwable e) {
            throw new AssertionError("munmap does not throw", e);
        }
    }
}
