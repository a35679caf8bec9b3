package io.weft.device.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.weft.device.DeviceRows;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.LongStream;

/**
 * The driver calls of a step, on handles that JCuda made: a table of method handles, and a method each, which throws a
 * {@link io.weft.device.DeviceException} with call, sizes and code if the driver refuses. Using this class needs the
 * driver's library ({@link CudaProbe}).
 */
final class DriverCalls {
    static final String LIBRARY = "libcuda.so.1";

    private static final Linker LINKER = Linker.nativeLinker();
    private static final SymbolLookup DRIVER = SymbolLookup.libraryLookup(LIBRARY, Arena.global());

    private static final MethodHandle LAUNCH_KERNEL = driverCall(
            "cuLaunchKernel",
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            ADDRESS,
            ADDRESS);
    private static final MethodHandle LAUNCH_CONFIGURED =
            driverCall("cuLaunchKernelEx", ADDRESS, JAVA_LONG, ADDRESS, ADDRESS);
    private static final MethodHandle COPY_TO_DEVICE =
            driverCall("cuMemcpyHtoDAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final Optional<MethodHandle> COPY_BATCH = DRIVER.find("cuMemcpyBatchAsync_v2")
            .map(function -> LINKER.downcallHandle(
                    function,
                    FunctionDescriptor.of(
                            JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG)));
    private static final MethodHandle COPY_TO_HOST =
            driverCall("cuMemcpyDtoHAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle COPY_ON_DEVICE =
            driverCall("cuMemcpyDtoDAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle COPY_ROWS = driverCall("cuMemcpy2DAsync_v2", ADDRESS, JAVA_LONG);
    private static final MethodHandle RECORD = driverCall("cuEventRecord", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle WAIT = driverCall("cuStreamWaitEvent", JAVA_LONG, JAVA_LONG, JAVA_INT);
    private static final MethodHandle QUERY = driverCall("cuEventQuery", JAVA_LONG);
    private static final MethodHandle ELAPSED = driverCall("cuEventElapsedTime", ADDRESS, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle BEGIN_CAPTURE = driverCall("cuStreamBeginCapture_v2", JAVA_LONG, JAVA_INT);
    private static final MethodHandle END_CAPTURE = driverCall("cuStreamEndCapture", JAVA_LONG, ADDRESS);
    private static final MethodHandle INSTANTIATE =
            driverCall("cuGraphInstantiateWithFlags", ADDRESS, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle UPLOAD = driverCall("cuGraphUpload", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle LAUNCH_GRAPH = driverCall("cuGraphLaunch", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle DESTROY_GRAPH = driverCall("cuGraphDestroy", JAVA_LONG);
    private static final MethodHandle DESTROY_EXECUTABLE = driverCall("cuGraphExecDestroy", JAVA_LONG);

    /** Other threads, which poll events, may make any call during a capture. */
    private static final int CAPTURE_THREAD_LOCAL = 1;

    private DriverCalls() {}

    private static MethodHandle driverCall(String name, MemoryLayout... arguments) {
        return LINKER.downcallHandle(DRIVER.findOrThrow(name), FunctionDescriptor.of(JAVA_INT, arguments));
    }

    /** A call that may throw, as all method handles may. */
    @FunctionalInterface
    private interface NativeCall {
        int result() throws Throwable;
    }

    private static int result(NativeCall call) {
        try {
            return call.result();
        } catch (Throwable e) {
            throw new AssertionError("a native call does not throw", e);
        }
    }

    /** @param description the call and its sizes */
    private static void issue(Supplier<String> description, NativeCall call) {
        CudaErrors.check(result(call), description);
    }

    /** Launches {@code kernel} with the arguments of {@code arguments}. */
    static void launch(
            CudaKernel kernel,
            int gridX,
            int gridY,
            int gridZ,
            int threads,
            ArgumentBlock arguments,
            CudaStream stream) {
        MemorySegment addresses = arguments.addresses();
        issue(() -> launchOf(kernel, gridX, gridY, gridZ, threads, stream), () -> (int) LAUNCH_KERNEL.invokeExact(
                kernel.address(),
                gridX,
                gridY,
                gridZ,
                threads,
                1,
                1,
                kernel.sharedBytes(),
                stream.handle(),
                addresses,
                MemorySegment.NULL));
    }

    /** A launch that may begin while the kernel before it still runs, see {@link LaunchConfiguration}. */
    static void launchEarly(
            CudaKernel kernel,
            int gridX,
            int gridY,
            int gridZ,
            int threads,
            ArgumentBlock arguments,
            CudaStream stream) {
        MemorySegment configuration =
                arguments.configuration().of(gridX, gridY, gridZ, threads, kernel.sharedBytes(), stream.handle());
        MemorySegment addresses = arguments.addresses();
        issue(() -> launchOf(kernel, gridX, gridY, gridZ, threads, stream), () ->
                (int) LAUNCH_CONFIGURED.invokeExact(configuration, kernel.address(), addresses, MemorySegment.NULL));
    }

    private static String launchOf(CudaKernel kernel, int gridX, int gridY, int gridZ, int threads, CudaStream stream) {
        return "cuLaunchKernel of %s with (%d, %d, %d) blocks of %d threads on %s"
                .formatted(kernel.name(), gridX, gridY, gridZ, threads, stream.name());
    }

    static void copyToDevice(long to, long from, long bytes, CudaStream stream) {
        issue(() -> "cuMemcpyHtoDAsync of %,d bytes on %s".formatted(bytes, stream.name()), () ->
                (int) COPY_TO_DEVICE.invokeExact(to, from, bytes, stream.handle()));
    }

    /** Whether the driver supports {@link #copyBatch}. */
    static boolean copiesInBatches() {
        return COPY_BATCH.isPresent();
    }

    /**
     * Issues copies that may run in any order among themselves.
     *
     * @param attributes one {@code CUmemcpyAttributes}, for all copies
     * @param firstAttribute the index of the first copy to which the attributes apply
     */
    static void copyBatch(
            MemorySegment destinations,
            MemorySegment sources,
            MemorySegment sizes,
            long count,
            MemorySegment attributes,
            MemorySegment firstAttribute,
            CudaStream stream) {
        MethodHandle copyBatch = COPY_BATCH.orElseThrow();
        issue(
                () -> "cuMemcpyBatchAsync of %,d bytes in %d pieces to the device on %s"
                        .formatted(bytes(sizes, count), count, stream.name()),
                () -> (int) copyBatch.invokeExact(
                        destinations, sources, sizes, count, attributes, firstAttribute, 1L, stream.handle()));
    }

    private static long bytes(MemorySegment sizes, long count) {
        return LongStream.range(0, count)
                .map(piece -> sizes.getAtIndex(JAVA_LONG, piece))
                .sum();
    }

    static void copyToHost(long to, long from, long bytes, CudaStream stream) {
        issue(() -> "cuMemcpyDtoHAsync of %,d bytes on %s".formatted(bytes, stream.name()), () ->
                (int) COPY_TO_HOST.invokeExact(to, from, bytes, stream.handle()));
    }

    static void copyOnDevice(long to, long from, long bytes, CudaStream stream) {
        issue(() -> "cuMemcpyDtoDAsync of %,d bytes on %s".formatted(bytes, stream.name()), () ->
                (int) COPY_ON_DEVICE.invokeExact(to, from, bytes, stream.handle()));
    }

    /** Copies rows that have gaps between them. */
    static void copyRows(DeviceRows from, DeviceRows to, CudaStream stream) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = RowCopy.of(from, to, arena);
            issue(
                    () -> "cuMemcpy2DAsync of %d rows of %,d bytes on %s"
                            .formatted(from.rows(), from.rowBytes(), stream.name()),
                    () -> (int) COPY_ROWS.invokeExact(copy, stream.handle()));
        }
    }

    static void record(long event, CudaStream stream) {
        issue(() -> "cuEventRecord on " + stream.name(), () -> (int) RECORD.invokeExact(event, stream.handle()));
    }

    static void await(long event, CudaStream stream) {
        issue(() -> "cuStreamWaitEvent on " + stream.name(), () -> (int) WAIT.invokeExact(stream.handle(), event, 0));
    }

    /** Whether an event's mark is reached. It throws what stopped a stream before the mark. */
    static boolean isReached(long event) {
        int result = result(() -> (int) QUERY.invokeExact(event));
        if (result == CudaErrors.NOT_READY) {
            return false;
        }
        CudaErrors.check(result, () -> "a kernel or copy before cuEventQuery");
        return true;
    }

    /** Milliseconds between two marks. */
    static float elapsedMillis(long start, long end) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment millis = arena.allocate(JAVA_FLOAT);
            issue(() -> "cuEventElapsedTime", () -> (int) ELAPSED.invokeExact(millis, start, end));
            return millis.get(JAVA_FLOAT, 0);
        }
    }

    static void beginCapture(CudaStream stream) {
        issue(() -> "cuStreamBeginCapture on " + stream.name(), () ->
                (int) BEGIN_CAPTURE.invokeExact(stream.handle(), CAPTURE_THREAD_LOCAL));
    }

    /** Writes a {@code CUgraph} to {@code graph}, 0 if something spoilt the capture. */
    static void endCapture(CudaStream stream, MemorySegment graph) {
        issue(() -> "cuStreamEndCapture on " + stream.name(), () ->
                (int) END_CAPTURE.invokeExact(stream.handle(), graph));
    }

    /** @return a {@code CUgraphExec} of a {@code CUgraph} that was captured on {@code stream} */
    static long instantiate(long graph, CudaStream stream) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment executable = arena.allocate(JAVA_LONG);
            issue(() -> "cuGraphInstantiateWithFlags of " + stream.name(), () ->
                    (int) INSTANTIATE.invokeExact(executable, graph, 0L));
            return executable.get(JAVA_LONG, 0);
        }
    }

    /** Brings an executable graph to the device without running it. */
    static void upload(long executable, CudaStream stream) {
        issue(() -> "cuGraphUpload on " + stream.name(), () -> (int) UPLOAD.invokeExact(executable, stream.handle()));
    }

    static void launchGraph(long executable, CudaStream stream) {
        issue(() -> "cuGraphLaunch on " + stream.name(), () ->
                (int) LAUNCH_GRAPH.invokeExact(executable, stream.handle()));
    }

    /** Like freeing memory, this fails after a sticky error alone, when the process is about to end anyway. */
    static void destroyGraph(long graph) {
        int ignored = result(() -> (int) DESTROY_GRAPH.invokeExact(graph));
    }

    /** Fails when {@link #destroyGraph} does. */
    static void destroyExecutable(long executable) {
        int ignored = result(() -> (int) DESTROY_EXECUTABLE.invokeExact(executable));
    }
}
