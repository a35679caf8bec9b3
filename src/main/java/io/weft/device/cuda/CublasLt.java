package io.weft.device.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.weft.device.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * cuBLASLt, versions 12 and 13, through {@code java.lang.foreign}. Numbers are those of {@code cublasLt.h}. Its
 * matrices are column-major, so a product here is {@code outᵀ (N, M) = Wᵀᵀ (N, K) · inᵀ (K, M)}.
 */
final class CublasLt {
    /** Bytes of a {@code cublasLtMatmulAlgo_t}. */
    static final long ALGORITHM_BYTES = 64;

    // cublasLtMatmulHeuristicResult_t: algo, workspaceSize (size_t), state (int), wavesCount (float), reserved (4 ints)
    private static final long HEURISTIC_BYTES = 96;
    private static final long HEURISTIC_WORKSPACE_AT = 64;
    private static final long HEURISTIC_STATE_AT = 72;

    private static final int REAL_32 = 0;
    private static final int COMPUTE_32 = 68;
    private static final int OPERATION_TRANSPOSED = 1;
    private static final int DESCRIPTION_TRANSPOSE_A = 3;
    private static final int DESCRIPTION_EPILOGUE = 7;
    private static final int DESCRIPTION_BIAS_POINTER = 8;
    private static final int PREFERENCE_WORKSPACE_BYTES = 1;
    private static final int PREFERENCE_REDUCTIONS = 3;
    private static final int PREFERENCE_ALIGNMENT_A = 5;
    private static final int PREFERENCE_ALIGNMENT_B = 6;
    private static final int PREFERENCE_ALIGNMENT_C = 7;
    private static final int PREFERENCE_ALIGNMENT_D = 8;
    private static final int REDUCTION_NONE = 0;

    private static final List<String> NAMES = List.of("libcublasLt.so.13", "libcublasLt.so.12");
    private static final List<String> FOLDERS = List.of(
            "/usr/local/cuda/lib64",
            "/usr/local/cuda/targets/x86_64-linux/lib",
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib64",
            "/opt/cuda/lib64");

    private final MethodHandle descriptionCreate;
    private final MethodHandle descriptionSet;
    private final MethodHandle layoutCreate;
    private final MethodHandle preferenceCreate;
    private final MethodHandle preferenceSet;
    private final MethodHandle preferenceDestroy;
    private final MethodHandle heuristic;
    private final MethodHandle check;
    private final MethodHandle matmul;
    private final MethodHandle destroy;
    private final long handle;
    private final long one;
    private final long zero;

    /** Element types of a matrix, {@code cudaDataType}. */
    enum DataType {
        F16(2),
        BF16(14);

        private final int code;

        DataType(int code) {
            this.code = code;
        }
    }

    /**
     * The last operation on a product, {@code cublasLtEpilogue_t}. The library's GELU is not used: it rounds
     * differently.
     */
    enum Epilogue {
        STORE(1),
        RELU(2);

        private static final int WITH_BIAS = 4;
        private static final int STORE_CODE = 1;

        private final int code;

        Epilogue(int code) {
            this.code = code;
        }

        /** The library's code. */
        int code(Bias bias) {
            return switch (bias) {
                case ABSENT -> code;
                case PRESENT -> code == STORE_CODE ? WITH_BIAS : code | WITH_BIAS;
            };
        }
    }

    /** Whether an epilogue adds a bias. */
    enum Bias {
        ABSENT,
        PRESENT
    }

    /**
     * An algorithm for one shape.
     *
     * @param memory the {@code cublasLtMatmulAlgo_t}
     * @param workspaceBytes workspace that it needs
     */
    record Algorithm(MemorySegment memory, long workspaceBytes) {}

    /**
     * Opens the library. The current context must be set.
     *
     * @param library a path, or a name that the system's loader knows
     * @param arena holds the library open
     * @throws DeviceException if it cannot be opened
     */
    CublasLt(String library, Arena arena) {
        Linker linker = Linker.nativeLinker();
        SymbolLookup symbols = SymbolLookup.libraryLookup(library, arena);
        Binder binder = new Binder(linker, symbols);
        this.descriptionCreate = binder.bind("cublasLtMatmulDescCreate", ADDRESS, JAVA_INT, JAVA_INT);
        this.descriptionSet = binder.bind("cublasLtMatmulDescSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
        this.layoutCreate =
                binder.bind("cublasLtMatrixLayoutCreate", ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG);
        this.preferenceCreate = binder.bind("cublasLtMatmulPreferenceCreate", ADDRESS);
        this.preferenceSet =
                binder.bind("cublasLtMatmulPreferenceSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
        this.preferenceDestroy = binder.bind("cublasLtMatmulPreferenceDestroy", JAVA_LONG);
        this.heuristic = binder.bind(
                "cublasLtMatmulAlgoGetHeuristic",
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_INT,
                ADDRESS,
                ADDRESS);
        this.check = binder.bind(
                "cublasLtMatmulAlgoCheck",
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                ADDRESS,
                ADDRESS);
        this.matmul = binder.bind(
                "cublasLtMatmul",
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG,
                ADDRESS,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG);
        this.destroy = binder.bind("cublasLtDestroy", JAVA_LONG);
        MethodHandle create = binder.bind("cublasLtCreate", ADDRESS);
        MemorySegment constants = arena.allocate(2 * JAVA_FLOAT.byteSize(), JAVA_FLOAT.byteAlignment());
        constants.setAtIndex(JAVA_FLOAT, 0, 1);
        constants.setAtIndex(JAVA_FLOAT, 1, 0);
        this.one = constants.address();
        this.zero = constants.address() + JAVA_FLOAT.byteSize();
        this.handle = created("cublasLtCreate", out -> (int) create.invokeExact(out));
    }

    private record Binder(Linker linker, SymbolLookup symbols) {
        MethodHandle bind(String name, MemoryLayout... arguments) {
            return linker.downcallHandle(symbols.findOrThrow(name), FunctionDescriptor.of(JAVA_INT, arguments));
        }
    }

    /** The places to look for the library, in order: only the setting if there is one. */
    static List<String> candidates(Optional<Path> setting) {
        List<String> candidates = new ArrayList<>();
        if (setting.isPresent()) {
            Path path = setting.get();
            if (Files.isDirectory(path)) {
                NAMES.forEach(name ->
                        candidates.add(path.resolve(name).toAbsolutePath().toString()));
            } else {
                candidates.add(path.toAbsolutePath().toString());
            }
            return candidates;
        }
        for (String name : NAMES) {
            candidates.add(name);
            String cudaHome = System.getenv("CUDA_HOME");
            if (cudaHome != null) {
                candidates.add(cudaHome + "/lib64/" + name);
            }
            FOLDERS.forEach(folder -> candidates.add(folder + "/" + name));
        }
        return candidates;
    }

    /** The first candidate that can be opened. */
    static Optional<String> find(Optional<Path> setting) {
        for (String candidate : candidates(setting)) {
            try (Arena arena = Arena.ofConfined()) {
                SymbolLookup library = SymbolLookup.libraryLookup(candidate, arena);
                if (library.find("cublasLtMatmul").isPresent()) {
                    return Optional.of(candidate);
                }
            } catch (IllegalArgumentException e) {
                System.getLogger(CublasLt.class.getName())
                        .log(System.Logger.Level.TRACE, () -> candidate + " cannot be opened", e);
            }
        }
        return Optional.empty();
    }

    /** A call that may throw, as method handles do. */
    @FunctionalInterface
    private interface Call {
        int status(MemorySegment out) throws Throwable;
    }

    private static long created(String name, Call call) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(JAVA_LONG);
            require(name, status(call, out));
            return out.get(JAVA_LONG, 0);
        }
    }

    private static int status(Call call, MemorySegment out) {
        try {
            return call.status(out);
        } catch (Throwable e) {
            throw new AssertionError("a native call does not throw", e);
        }
    }

    private static void require(String call, int status) {
        if (status != 0) {
            throw new DeviceException("%s failed: %s (%d)".formatted(call, statusName(status), status));
        }
    }

    /** The name of a {@code cublasStatus_t}. */
    static String statusName(int status) {
        return switch (status) {
            case 0 -> "CUBLAS_STATUS_SUCCESS";
            case 1 -> "CUBLAS_STATUS_NOT_INITIALIZED";
            case 3 -> "CUBLAS_STATUS_ALLOC_FAILED";
            case 7 -> "CUBLAS_STATUS_INVALID_VALUE";
            case 8 -> "CUBLAS_STATUS_ARCH_MISMATCH";
            case 11 -> "CUBLAS_STATUS_MAPPING_ERROR";
            case 13 -> "CUBLAS_STATUS_EXECUTION_FAILED";
            case 14 -> "CUBLAS_STATUS_INTERNAL_ERROR";
            case 15 -> "CUBLAS_STATUS_NOT_SUPPORTED";
            default -> "CUBLAS_STATUS";
        };
    }

    /**
     * Describes a product with fp32 sums: A transposed, an epilogue.
     *
     * @param bias device address of the bias; 0 for none
     * @return a {@code cublasLtMatmulDesc_t}
     */
    long describe(Epilogue epilogue, long bias) {
        long description = created(
                "cublasLtMatmulDescCreate", out -> (int) descriptionCreate.invokeExact(out, COMPUTE_32, REAL_32));
        set(descriptionSet, description, DESCRIPTION_TRANSPOSE_A, OPERATION_TRANSPOSED);
        set(descriptionSet, description, DESCRIPTION_EPILOGUE, epilogue.code(bias == 0 ? Bias.ABSENT : Bias.PRESENT));
        if (bias != 0) {
            set(descriptionSet, description, DESCRIPTION_BIAS_POINTER, bias);
        }
        return description;
    }

    private static void set(MethodHandle setter, long object, int attribute, int value) {
        try (Arena arena = Arena.ofConfined()) {
            set(setter, object, attribute, arena.allocateFrom(JAVA_INT, value));
        }
    }

    private static void set(MethodHandle setter, long object, int attribute, long value) {
        try (Arena arena = Arena.ofConfined()) {
            set(setter, object, attribute, arena.allocateFrom(JAVA_LONG, value));
        }
    }

    private static void set(MethodHandle setter, long object, int attribute, MemorySegment value) {
        int status = status(in -> (int) setter.invokeExact(object, attribute, in, in.byteSize()), value);
        require("cuBLASLt attribute " + attribute, status);
    }

    /**
     * A dense column-major matrix.
     *
     * @return a {@code cublasLtMatrixLayout_t}
     */
    long layout(DataType type, long rows, long columns) {
        return created("cublasLtMatrixLayoutCreate of %d x %d".formatted(rows, columns), out ->
                (int) layoutCreate.invokeExact(out, type.code, rows, columns, rows));
    }

    /**
     * Asks the library for its choice among the algorithms that do not split K.
     *
     * @param alignmentBytes of all matrices
     * @param arena holds the answer
     * @return empty if there is none
     */
    Optional<Algorithm> choose(
            long description, long a, long b, long d, long workspaceBytes, int alignmentBytes, Arena arena) {
        long preference = created("cublasLtMatmulPreferenceCreate", out -> (int) preferenceCreate.invokeExact(out));
        try {
            set(preferenceSet, preference, PREFERENCE_WORKSPACE_BYTES, workspaceBytes);
            set(preferenceSet, preference, PREFERENCE_REDUCTIONS, REDUCTION_NONE);
            for (int matrix : new int[] {
                PREFERENCE_ALIGNMENT_A, PREFERENCE_ALIGNMENT_B, PREFERENCE_ALIGNMENT_C, PREFERENCE_ALIGNMENT_D
            }) {
                set(preferenceSet, preference, matrix, alignmentBytes);
            }
            MemorySegment result = arena.allocate(HEURISTIC_BYTES, Long.BYTES);
            MemorySegment found = arena.allocate(JAVA_INT);
            int status = status(
                    out -> (int) heuristic.invokeExact(handle, description, a, b, d, d, preference, 1, out, found),
                    result);
            if (status != 0 || found.get(JAVA_INT, 0) == 0 || result.get(JAVA_INT, HEURISTIC_STATE_AT) != 0) {
                return Optional.empty();
            }
            return Optional.of(
                    new Algorithm(result.asSlice(0, ALGORITHM_BYTES), result.get(JAVA_LONG, HEURISTIC_WORKSPACE_AT)));
        } finally {
            status(_ -> (int) preferenceDestroy.invokeExact(preference), MemorySegment.NULL);
        }
    }

    /** Adapts an algorithm to another shape; empty if the algorithm does not support it. */
    Optional<Algorithm> adapt(
            Algorithm algorithm, long description, long a, long b, long d, long workspaceBytes, Arena arena) {
        MemorySegment result = arena.allocate(HEURISTIC_BYTES, Long.BYTES);
        int status = status(
                out -> (int) check.invokeExact(handle, description, a, b, d, d, algorithm.memory(), out), result);
        long neededBytes = result.get(JAVA_LONG, HEURISTIC_WORKSPACE_AT);
        return status == 0 && neededBytes <= workspaceBytes
                ? Optional.of(new Algorithm(algorithm.memory(), neededBytes))
                : Optional.empty();
    }

    /**
     * Issues {@code D = epilogue(Aᵀ·B + bias)}. The library could add the contents of D, but its algorithms round that
     * in different ways.
     *
     * @return the library's status
     */
    int multiply(
            long description,
            long a,
            long aLayout,
            long b,
            long bLayout,
            long d,
            long dLayout,
            Algorithm algorithm,
            long workspace,
            long workspaceBytes,
            long stream) {
        try {
            return (int) matmul.invokeExact(
                    handle,
                    description,
                    one,
                    a,
                    aLayout,
                    b,
                    bLayout,
                    zero,
                    d,
                    dLayout,
                    d,
                    dLayout,
                    algorithm.memory(),
                    workspace,
                    workspaceBytes,
                    stream);
        } catch (Throwable e) {
            throw new AssertionError("a native call does not throw", e);
        }
    }

    void close() {
        status(_ -> (int) destroy.invokeExact(handle), MemorySegment.NULL);
    }
}
