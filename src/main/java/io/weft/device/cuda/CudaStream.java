package io.weft.device.cuda;

import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceRows;
import io.weft.device.Event;
import io.weft.device.HostBuffer;
import io.weft.device.Stream;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A CUDA stream. It issues nothing after the device has failed. */
final class CudaStream implements Stream {
    private final String name;
    private final CudaContext context;
    private final ScratchPool workspaces;
    private final ScratchPool unpackedWeights;
    private final long handle;
    private final CopyBatch copies;
    private CudaHealth health;
    private @Nullable DeviceBuffer workspace;
    private @Nullable DeviceBuffer unpacked;
    private volatile boolean closed;

    /**
     * @param workspaces scratch memory of kernels
     * @param unpackedWeights room for the elements of quantised matrices
     */
    CudaStream(
            String name, CudaContext context, CudaHealth health, ScratchPool workspaces, ScratchPool unpackedWeights) {
        this.name = name;
        this.context = context;
        this.health = health;
        this.workspaces = workspaces;
        this.unpackedWeights = unpackedWeights;
        this.handle = context.createStream(name);
        this.copies = new CopyBatch(context.arena());
    }

    @Override
    public String name() {
        return name;
    }

    long handle() {
        return handle;
    }

    /** Scratch memory of kernels. Kernels of one stream run one after the other, so they share it. */
    DeviceBuffer workspace() {
        DeviceBuffer taken = workspace;
        if (taken == null) {
            taken = workspaces.take(name, 1);
            workspace = taken;
        }
        return taken;
    }

    /** Room for the elements of a quantised matrix until the next call. */
    DeviceBuffer unpacked(long bytes) {
        DeviceBuffer taken = unpacked;
        if (taken == null || taken.bytes() < bytes) {
            if (taken != null) {
                unpackedWeights.giveBack(taken);
            }
            taken = unpackedWeights.take(name, bytes);
            unpacked = taken;
        }
        return taken;
    }

    @Override
    public void release() {
        DeviceBuffer takenWorkspace = workspace;
        workspace = null;
        if (takenWorkspace != null) {
            workspaces.giveBack(takenWorkspace);
        }
        DeviceBuffer takenUnpacked = unpacked;
        unpacked = null;
        if (takenUnpacked != null) {
            unpackedWeights.giveBack(takenUnpacked);
        }
    }

    /** Whether calls may be issued; binds the context to the thread. */
    boolean isOpen() {
        if (closed) {
            throw new IllegalStateException("the device is closed");
        }
        context.bind();
        return !health.failed();
    }

    /** Receives the errors of what this stream issues. */
    CudaHealth health() {
        return health;
    }

    /** Runs {@code operations}; their errors on this stream go to {@code other} and do not fail the device. */
    void issueWith(CudaHealth other, Runnable operations) {
        CudaHealth ofDevice = health;
        health = other;
        try {
            operations.run();
        } finally {
            health = ofDevice;
        }
    }

    /** Issues a {@code CUgraphExec}. */
    void launchGraph(long executable) {
        if (isOpen()) {
            health.guard(() -> DriverCalls.launchGraph(executable, this));
        }
    }

    /** Issues a kernel with {@code arguments}. It may start before the one before it ends. */
    void launch(CudaKernel kernel, int gridX, int gridY, int gridZ, int threads, ArgumentBlock arguments) {
        requireCount(kernel, arguments);
        health.guard(() -> {
            if (context.capability() >= LaunchConfiguration.CAPABILITY_LEAST) {
                DriverCalls.launchEarly(kernel, gridX, gridY, gridZ, threads, arguments, this);
            } else {
                DriverCalls.launch(kernel, gridX, gridY, gridZ, threads, arguments, this);
            }
        });
    }

    /** Issues a kernel that starts when the one before it has ended, since it reads at once what that one writes. */
    void launchAfter(CudaKernel kernel, int gridX, int gridY, int gridZ, int threads, ArgumentBlock arguments) {
        requireCount(kernel, arguments);
        health.guard(() -> DriverCalls.launch(kernel, gridX, gridY, gridZ, threads, arguments, this));
    }

    private static void requireCount(CudaKernel kernel, ArgumentBlock arguments) {
        if (arguments.count() != kernel.arguments()) {
            throw new IllegalArgumentException(
                    "%s takes %d arguments, not %d".formatted(kernel.name(), kernel.arguments(), arguments.count()));
        }
    }

    @Override
    public void record(Event event) {
        if (isOpen()) {
            CudaEvent cudaEvent = (CudaEvent) event;
            cudaEvent.recordedOn(handle);
            health.guard(() -> DriverCalls.record(cudaEvent.handle(), this));
        }
    }

    @Override
    public void await(Event event) {
        if (isOpen()) {
            health.guard(() -> DriverCalls.await(((CudaEvent) event).handle(), this));
        }
    }

    @Override
    public void copyToDevice(List<HostBuffer> from, DeviceBuffer to) {
        Stream.requireSameLength(HostBuffer.bytes(from), to.bytes());
        if (!isOpen()) {
            return;
        }
        copies.start();
        long at = to.address();
        for (HostBuffer piece : from) {
            for (long done = 0; done < piece.bytes(); ) {
                long bytes = PinnedMemory.bytesWithinSlab(piece.address() + done, piece.bytes() - done);
                copies.add(at, piece.address() + done, bytes);
                at += bytes;
                done += bytes;
            }
        }
        health.guard(() -> copies.issue(this));
    }

    @Override
    public void copyToHost(DeviceBuffer from, HostBuffer to) {
        Stream.requireSameLength(from.bytes(), to.bytes());
        if (!isOpen()) {
            return;
        }
        for (long done = 0; done < to.bytes(); ) {
            long bytes = PinnedMemory.bytesWithinSlab(to.address() + done, to.bytes() - done);
            long at = done;
            health.guard(() -> DriverCalls.copyToHost(to.address() + at, from.address() + at, bytes, this));
            done += bytes;
        }
    }

    @Override
    public void copyOnDevice(DeviceBuffer from, DeviceBuffer to) {
        Stream.requireSameLength(from.bytes(), to.bytes());
        if (!isOpen() || to.bytes() == 0) {
            return;
        }
        health.guard(() -> DriverCalls.copyOnDevice(to.address(), from.address(), to.bytes(), this));
    }

    @Override
    public void copyOnDevice(DeviceRows from, DeviceRows to) {
        from.requireSameRows(to);
        if (isOpen()) {
            health.guard(() -> DriverCalls.copyRows(from, to, this));
        }
    }

    void close() {
        closed = true;
    }
}
