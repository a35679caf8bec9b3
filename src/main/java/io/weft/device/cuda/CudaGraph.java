package io.weft.device.cuda;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.weft.device.DeviceException;
import io.weft.device.Graph;
import io.weft.device.Stream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A {@code CUgraphExec}: issues a step's few hundred launches as one. This costs the issuing thread microseconds
 * instead of milliseconds, and shortens the pauses of the device.
 */
final class CudaGraph implements Graph {
    private final CudaContext context;
    private final long handle;
    private boolean closed;

    private CudaGraph(CudaContext context, long handle) {
        this.context = context;
        this.handle = handle;
    }

    /**
     * Captures what {@code operations} issues on {@code stream}, and uploads it to the device, so a lack of memory
     * shows here and not in a launch.
     *
     * @throws DeviceException if the driver cannot capture it; the device has not failed then
     */
    static CudaGraph capture(CudaContext context, CudaStream stream, Runnable operations) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment graph = arena.allocate(JAVA_LONG);
            try {
                capture(graph, stream, operations);
                return instantiate(context, stream, graph.get(JAVA_LONG, 0));
            } finally {
                if (graph.get(JAVA_LONG, 0) != 0) {
                    DriverCalls.destroyGraph(graph.get(JAVA_LONG, 0));
                }
            }
        }
    }

    /** Writes a {@code CUgraph} to {@code graph}, or 0. */
    private static void capture(MemorySegment graph, CudaStream stream, Runnable operations) {
        CudaHealth health = new CudaHealth();
        DriverCalls.beginCapture(stream);
        try {
            stream.issueWith(health, operations);
        } finally {
            health.guard(() -> DriverCalls.endCapture(stream, graph));
        }
        DeviceException refused = health.failure();
        if (refused != null) {
            throw refused;
        }
    }

    private static CudaGraph instantiate(CudaContext context, CudaStream stream, long graph) {
        CudaGraph instantiated = new CudaGraph(context, DriverCalls.instantiate(graph, stream));
        try {
            DriverCalls.upload(instantiated.handle, stream);
        } catch (DeviceException e) {
            instantiated.close();
            throw e;
        }
        return instantiated;
    }

    @Override
    public void launch(Stream stream) {
        if (closed) {
            throw new IllegalStateException("the graph is closed");
        }
        ((CudaStream) stream).launchGraph(handle);
    }

    boolean isClosed() {
        return closed;
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            context.bind();
            DriverCalls.destroyExecutable(handle);
        }
    }
}
