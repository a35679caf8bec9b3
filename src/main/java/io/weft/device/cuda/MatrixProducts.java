package io.weft.device.cuda;

import io.weft.device.DeviceBuffer;
import io.weft.device.DeviceException;
import io.weft.device.ElementType;
import java.lang.foreign.Arena;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * {@code out (M, N) = in (M, K) · Wᵀ} by cuBLASLt without split K. Every output element is then summed over k in the
 * order of the tensor cores, which is the same for all of the library's algorithms. Algorithms are chosen for multiples
 * of {@value #ROWS_APART} rows: with the choice for the next power of two, a product with slightly more rows than a
 * power of two takes up to twice as long. Layouts and algorithm of a shape are looked up once.
 */
final class MatrixProducts {
    /** The size of the preallocated memory, as the library recommends for Hopper. */
    static final long WORKSPACE_BYTES = 32L << 20;

    /**
     * The library's choices for fewer rows leave the device half idle where K is large: on an H100, 32 rows by (4096,
     * 16384) take 141 µs with the choice for 32 and, the addition included, 69 µs with that for 128.
     */
    private static final int CHOICE_ROWS_LEAST = 128;

    /** The tokens of a cache block, so recomputation gets the choice for its exact number of rows. */
    private static final int ROWS_APART = 16;

    /** The alignment of addresses and row lengths that the fastest algorithms require. */
    private static final int ALIGNMENT_BYTES = 16;

    private final CublasLt cublas;
    private final CublasLt.DataType type;
    private final int elementBytes;
    private final Arena arena;
    private final Map<Shape, Plan> plans = new ConcurrentHashMap<>();
    /** Index: the rows for which they were chosen. Up to {@value #ROWS_APART} numbers of rows share one. */
    private final Map<Shape, CublasLt.Algorithm> choices = new ConcurrentHashMap<>();

    private final Map<Extents, Long> layouts = new ConcurrentHashMap<>();

    /** The properties on which a plan depends. */
    private record Shape(int n, int k, int rows, CublasLt.Epilogue epilogue, CublasLt.Bias bias) {
        Shape withRows(int other) {
            return new Shape(n, k, other, epilogue, bias);
        }
    }

    private record Extents(long rows, long columns) {}

    private record Plan(long weights, long in, long out, CublasLt.Algorithm algorithm) {}

    /** @param arena holds plans */
    MatrixProducts(CublasLt cublas, ElementType elementType, Arena arena) {
        this.cublas = cublas;
        this.type = switch (elementType) {
            case F16 -> CublasLt.DataType.F16;
            case BF16 -> CublasLt.DataType.BF16;
            case F32 -> throw new IllegalArgumentException("a CUDA device has no F32 matrix products");
        };
        this.elementBytes = elementType.bytes();
        this.arena = arena;
    }

    /** The descriptions of a matrix's products. */
    CudaLinear.Descriptions describe(long bias) {
        return new CudaLinear.Descriptions(
                cublas.describe(CublasLt.Epilogue.STORE, bias), cublas.describe(CublasLt.Epilogue.RELU, bias));
    }

    /** Whether sizes and addresses are multiples of 16 bytes: otherwise the library adds in other orders. */
    boolean isAligned(CudaLinear weights, long in, long out) {
        long bytes = (long) (weights.inFeatures() | weights.outFeatures()) * elementBytes;
        return (bytes | in | out) % ALIGNMENT_BYTES == 0;
    }

    /** Issues a product whose matrices are {@linkplain #isAligned aligned}. */
    void multiply(CudaStream stream, CudaLinear weights, long in, long out, int rows, CublasLt.Epilogue epilogue) {
        Shape shape = new Shape(weights.outFeatures(), weights.inFeatures(), rows, epilogue, weights.hasBias());
        long description = weights.descriptions().of(epilogue);
        Plan plan = plans.get(shape);
        if (plan == null) {
            plan = plan(shape, description);
            plans.put(shape, plan);
        }
        DeviceBuffer workspace = stream.workspace();
        int status = cublas.multiply(
                description,
                weights.weights(),
                plan.weights(),
                in,
                plan.in(),
                out,
                plan.out(),
                plan.algorithm(),
                workspace.address(),
                Math.min(workspace.bytes(), WORKSPACE_BYTES),
                stream.handle());
        if (status != 0) {
            stream.health()
                    .fail(new DeviceException("cublasLtMatmul of (%d, %d) times (%d, %d) on %s failed: %s (%d)"
                            .formatted(
                                    rows,
                                    shape.k(),
                                    shape.n(),
                                    shape.k(),
                                    stream.name(),
                                    CublasLt.statusName(status),
                                    status)));
        }
    }

    private Plan plan(Shape shape, long description) {
        CublasLt.Algorithm chosen = choose(shape.withRows(choiceRows(shape.rows())), description);
        Plan plan = layouts(shape, chosen);
        Optional<CublasLt.Algorithm> adapted =
                cublas.adapt(chosen, description, plan.weights(), plan.in(), plan.out(), WORKSPACE_BYTES, arena);
        return new Plan(plan.weights(), plan.in(), plan.out(), adapted.orElseGet(() -> choose(shape, description)));
    }

    private Plan layouts(Shape shape, CublasLt.Algorithm algorithm) {
        return new Plan(
                layout(shape.k(), shape.n()),
                layout(shape.k(), shape.rows()),
                layout(shape.n(), shape.rows()),
                algorithm);
    }

    private long layout(long rows, long columns) {
        return layouts.computeIfAbsent(
                new Extents(rows, columns), extents -> cublas.layout(type, extents.rows(), extents.columns()));
    }

    private CublasLt.Algorithm choose(Shape shape, long description) {
        return choices.computeIfAbsent(shape, wanted -> ask(wanted, description));
    }

    private CublasLt.Algorithm ask(Shape shape, long description) {
        return cublas.choose(
                        description,
                        layout(shape.k(), shape.n()),
                        layout(shape.k(), shape.rows()),
                        layout(shape.n(), shape.rows()),
                        WORKSPACE_BYTES,
                        ALIGNMENT_BYTES,
                        arena)
                .orElseThrow(() -> new DeviceException(
                        "cuBLASLt has no algorithm without split K for (%d, %d) times (%d, %d) with %s, %s"
                                .formatted(
                                        shape.rows(),
                                        shape.k(),
                                        shape.n(),
                                        shape.k(),
                                        shape.epilogue(),
                                        shape.bias())));
    }

    /** The number of rows for which the algorithm for {@code rows} rows is chosen. */
    static int choiceRows(int rows) {
        return Math.max(Math.ceilDiv(rows, ROWS_APART) * ROWS_APART, CHOICE_ROWS_LEAST);
    }
}
