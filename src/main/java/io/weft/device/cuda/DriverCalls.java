package io.weft.device.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * The driver calls of a step, on handles that JCuda made. They return the driver's result code. Using this class needs
 * the driver's library ({@link CudaProbe}).
 */
final class DriverCalls {
    static final String LIBRARY = "libcuda.so.1";

    private static final Linker LINKER = Linker.nativeLinker();
    private static final SymbolLookup DRIVER = SymbolLookup.libraryLookup(LIBRARY, Arena.global());

    private static final MethodHandle LAUNCH_KERNEL = handle(
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
            handle("cuLaunchKernelEx", ADDRESS, JAVA_LONG, ADDRESS, ADDRESS);
    private static final MethodHandle COPY_TO_DEVICE =
            handle("cuMemcpyHtoDAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final Optional<MethodHandle> COPY_BATCH = DRIVER.find("cuMemcpyBatchAsync_v2")
            .map(function -> LINKER.downcallHandle(
                    function,
                    FunctionDescriptor.of(
                            JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG)));
    private static final MethodHandle COPY_TO_HOST =
            handle("cuMemcpyDtoHAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle COPY_ON_DEVICE =
            handle("cuMemcpyDtoDAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle COPY_ROWS = handle("cuMemcpy2DAsync_v2", ADDRESS, JAVA_LONG);
    private static final MethodHandle RECORD = handle("cuEventRecord", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle WAIT = handle("cuStreamWaitEvent", JAVA_LONG, JAVA_LONG, JAVA_INT);
    private static final MethodHandle QUERY = handle("cuEventQuery", JAVA_LONG);
    private static final MethodHandle ELAPSED = handle("cuEventElapsedTime", ADDRESS, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle BEGIN_CAPTURE = handle("cuStreamBeginCapture_v2", JAVA_LONG, JAVA_INT);
    private static final MethodHandle END_CAPTURE = handle("cuStreamEndCapture", JAVA_LONG, ADDRESS);
    private static final MethodHandle INSTANTIATE =
            handle("cuGraphInstantiateWithFlags", ADDRESS, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle UPLOAD = handle("cuGraphUpload", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle LAUNCH_GRAPH = handle("cuGraphLaunch", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle DESTROY_GRAPH = handle("cuGraphDestroy", JAVA_LONG);
    private static final MethodHandle DESTROY_EXECUTABLE = handle("cuGraphExecDestroy", JAVA_LONG);

    /** Other threads, which look at events, may call what they like during a capture. */
    private static final int CAPTURE_THREAD_LOCAL = 1;

    private DriverCalls() {}

    private static MethodHandle handle(String name, MemoryLayout... arguments) {
        return LINKER.downcallHandle(DRIVER.findOrThrow(name), FunctionDescriptor.of(JAVA_INT, arguments));
    }

    static int launch(
            long function,
            int gridX,
            int gridY,
            int gridZ,
            int threads,
            int sharedBytes,
            long stream,
            MemorySegment argumentAddresses) {
        try {
            return (int) LAUNCH_KERNEL.invokeExact(
                    function,
                    gridX,
                    gridY,
                    gridZ,
                    threads,
                    1,
                    1,
                    sharedBytes,
                    stream,
                    argumentAddresses,
                    MemorySegment.NULL);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** A launch as {@link LaunchConfiguration} says. */
    static int launch(MemorySegment configuration, long function, MemorySegment argumentAddresses) {
        try {
            return (int) LAUNCH_CONFIGURED.invokeExact(configuration, function, argumentAddresses, MemorySegment.NULL);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static int copyToDevice(long to, long from, long bytes, long stream) {
        try {
            return (int) COPY_TO_DEVICE.invokeExact(to, from, bytes, stream);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Whether the driver has {@link #copyBatch}. */
    static boolean copiesInBatches() {
        return COPY_BATCH.isPresent();
    }

    /**
     * Copies that may run in any order among themselves.
     *
     * @param attributes one {@code CUmemcpyAttributes}, for all copies
     * @param firstAttribute the index of the first copy that it is for
     */
    static int copyBatch(
            MemorySegment destinations,
            MemorySegment sources,
            MemorySegment sizes,
            long count,
            MemorySegment attributes,
            MemorySegment firstAttribute,
            long stream) {
        try {
            return (int) COPY_BATCH
                    .orElseThrow()
                    .invokeExact(destinations, sources, sizes, count, attributes, firstAttribute, 1L, stream);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static int copyToHost(long to, long from, long bytes, long stream) {
        try {
            return (int) COPY_TO_HOST.invokeExact(to, from, bytes, stream);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static int copyOnDevice(long to, long from, long bytes, long stream) {
        try {
            return (int) COPY_ON_DEVICE.invokeExact(to, from, bytes, stream);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** A copy as {@link RowCopy} says. */
    static int copyRows(MemorySegment copy, long stream) {
        try {
            return (int) COPY_ROWS.invokeExact(copy, stream);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static int record(long event, long stream) {
        try {
            return (int) RECORD.invokeExact(event, stream);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static int await(long stream, long event) {
        try {
            return (int) WAIT.invokeExact(stream, event, 0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static int query(long event) {
        try {
            return (int) QUERY.invokeExact(event);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Writes the milliseconds between two marks, fp32, to {@code millis}. */
    static int elapsed(MemorySegment millis, long start, long end) {
        try {
            return (int) ELAPSED.invokeExact(millis, start, end);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static int beginCapture(long stream) {
        try {
            return (int) BEGIN_CAPTURE.invokeExact(stream, CAPTURE_THREAD_LOCAL);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Writes a {@code CUgraph} to {@code graph}, 0 if something spoilt the capture. */
    static int endCapture(long stream, MemorySegment graph) {
        try {
            return (int) END_CAPTURE.invokeExact(stream, graph);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Writes a {@code CUgraphExec} to {@code executable}. */
    static int instantiate(MemorySegment executable, long graph) {
        try {
            return (int) INSTANTIATE.invokeExact(executable, graph, 0L);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Brings an executable graph to the device without running it. */
    static int upload(long executable, long stream) {
        try {
            return (int) UPLOAD.invokeExact(executable, stream);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static int launchGraph(long executable, long stream) {
        try {
            return (int) LAUNCH_GRAPH.invokeExact(executable, stream);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static int destroyGraph(long graph) {
        try {
            return (int) DESTROY_GRAPH.invokeExact(graph);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static int destroyExecutable(long executable) {
        try {
            return (int) DESTROY_EXECUTABLE.invokeExact(executable);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    private static AssertionError unexpected(Throwable e) {
        return new AssertionError("a native call does not throw", e);
    }
}
