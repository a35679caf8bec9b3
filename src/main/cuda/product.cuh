// Matrix products of few rows: out (M, N) = in (M, K) * W^T, W (N, K) row-major, on tensor cores with fp32 sums.
//
// The weights pass through shared memory once, at the rate of device memory; everything else is small in comparison.
// Each output element has one accumulator, to which mma.m16n8k16 adds sixteen products at a time from k = 0 upwards:
// cuBLASLt's algorithms without split K add in the same order on the same tensor cores, so a row has the same bits with
// both. Sizes and addresses that are no multiples of 16 bytes go to product_any for any number of rows: cuBLASLt's
// kernels for them add in another order.
//
// A warp takes eight columns. `Columns` defines what a column is and what happens to its sums: columns of two matrices
// with the same input, or gates and the values that they gate, which are adjacent so that one thread has both.
//
// Grid: (blocks, M / ROWS rounded up), with no more than COLUMNS columns a block; the columns are spread evenly.
//
// On Hopper two neighbouring blocks, a cluster, share the input that they fetch, from three rows on. Otherwise it would
// cross from the L2 cache once per block, which from eight rows on takes longer than the weights. A dedicated warp
// copies half of the rows to both blocks, as soon as both have used the previous contents. Every thread signals that it
// has: if one thread signalled for all, after a barrier of theirs, racecheck would not see what orders their reads
// before the copies.
#pragma once

#include "common.cuh"
#include "pointwise.cuh"

namespace weft {

constexpr int TILE_COLUMNS = 8;
constexpr int PRODUCT_CLUSTER = 2;
static_assert(PRODUCT_CLUSTER == 2, "a block has one other to tell");
// Warps of blocks that fetch the input for themselves.
constexpr int OWN_INPUT_WARPS = 4;

// What happens to a sum after the bias is added. The numbers from 2 on are 2 + Activation.
enum ProductEpilogue { PRODUCT_STORE = 0, PRODUCT_ADD = 1, PRODUCT_ACTIVATE = 2 };

// A matrix, its bias (or null), and where its products go.
template <typename T>
struct Matrix {
    const T* weights;
    const T* bias;
    T* out;
    int columns;

    __device__ __forceinline__ float biased(float sum, int column) const {
        return bias == nullptr ? sum : __fadd_rn(sum, Element<T>::widen(bias[column]));
    }
};

// The columns of one matrix, then those of another; either has its own output. Except for ReLU, the operation after the
// bias sees the rounded sum, as it does in a kernel of its own.
template <typename T>
struct TwoMatrices {
    Matrix<T> first;
    Matrix<T> second;
    int epilogue;

    __device__ __forceinline__ int count() const { return first.columns + second.columns; }

    __device__ __forceinline__ const T* weights(int column, int depth) const {
        return column < first.columns ? first.weights + static_cast<size_t>(column) * depth
                                      : second.weights + static_cast<size_t>(column - first.columns) * depth;
    }

    __device__ __forceinline__ T* out(int row, int column) const {
        return column < first.columns ? first.out + static_cast<size_t>(row) * first.columns + column
                                      : second.out + static_cast<size_t>(row) * second.columns + column - first.columns;
    }

    // The value of an output to which a product is added.
    __device__ __forceinline__ float before(int row, int column) const {
        return epilogue == PRODUCT_ADD && column < count() ? Element<T>::widen(*out(row, column)) : 0.0f;
    }

    __device__ __forceinline__ void finish(int row, int column, const float (&sums)[2],
                                           const float (&before)[2]) const {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            if (column + i < count()) {
                finish(row, column + i, sums[i], before[i]);
            }
        }
    }

    __device__ __forceinline__ void finish(int row, int column, float sum, float before) const {
        sum = column < first.columns ? first.biased(sum, column) : second.biased(sum, column - first.columns);
        if (epilogue == PRODUCT_ACTIVATE + RELU) {
            sum = fmaxf(sum, 0.0f);
        } else if (epilogue != PRODUCT_STORE) {
            float rounded = Element<T>::widen(Element<T>::narrow(sum));
            sum = epilogue == PRODUCT_ADD ? __fadd_rn(before, rounded) : activate(epilogue - PRODUCT_ACTIVATE, rounded);
        }
        *out(row, column) = Element<T>::narrow(sum);
    }
};

// out (M, width) = activation(gate) * up, of a matrix of width gates followed by as many rows. Column 2 j is gate j,
// column 2 j + 1 is the value that it gates; both are rounded first, as they are when the gate is a kernel of its own.
template <typename T>
struct GatedMatrix {
    Matrix<T> matrix;
    int activation;

    __device__ __forceinline__ int count() const { return matrix.columns; }

    __device__ __forceinline__ const T* weights(int column, int depth) const {
        int row = column / 2 + column % 2 * (matrix.columns / 2);
        return matrix.weights + static_cast<size_t>(row) * depth;
    }

    __device__ __forceinline__ float before(int, int) const { return 0.0f; }

    __device__ __forceinline__ void finish(int row, int column, const float (&sums)[2], const float (&)[2]) const {
        int j = column / 2;
        int width = matrix.columns / 2;
        if (j < width) {
            float gate = Element<T>::widen(Element<T>::narrow(matrix.biased(sums[0], j)));
            float up = Element<T>::widen(Element<T>::narrow(matrix.biased(sums[1], width + j)));
            matrix.out[static_cast<size_t>(row) * width + j] = Element<T>::narrow(activate(activation, gate) * up);
        }
    }
};

// Each block fetches the input for itself, along with the weights.
struct OwnInput {
    static constexpr bool SHARED = false;
};

// The two blocks of a cluster fetch the input together. Each stage has three barriers: the input has arrived, this
// block's threads have used it, the other block's threads have used it.
struct SharedInput {
    static constexpr bool SHARED = true;
    static constexpr int BARRIERS = 3;
    uint32_t barriers;

    __device__ __forceinline__ uint32_t filled(int stage) const { return at(stage, 0); }
    __device__ __forceinline__ uint32_t emptied(int stage) const { return at(stage, 1); }
    __device__ __forceinline__ uint32_t emptiedThere(int stage) const { return at(stage, 2); }

    __device__ __forceinline__ uint32_t at(int stage, int which) const {
        return barriers + 8 * (BARRIERS * stage + which);
    }
};

// The current stage, and the parity of the completed rounds of all stages.
struct Turn {
    int stage = 0;
    uint32_t phase = 0;

    template <int STAGES>
    __device__ __forceinline__ void advance() {
        stage++;
        if (stage == STAGES) {
            stage = 0;
            phase ^= 1;
        }
    }
};

// `Input` says how the rows of the input arrive: OwnInput or SharedInput.
template <typename T, typename Columns, typename Input, int WARPS, int ROW_TILES, int DEPTH, int STAGES, bool VECTORS>
struct Product {
    static constexpr int THREADS = 32 * WARPS;
    static constexpr int COLUMNS = TILE_COLUMNS * WARPS;
    static constexpr int ROWS = 16 * ROW_TILES;
    // A row's pitch is an odd number of 16-byte units, so that ldmatrix meets no bank twice.
    static constexpr int PITCH = DEPTH + VECTOR;
    static constexpr int STAGE_ELEMENTS = (COLUMNS + ROWS) * PITCH;
    static constexpr int STAGE_BYTES = 2 * STAGE_ELEMENTS;
    static constexpr int UNITS = DEPTH / VECTOR;
    // Rows that all threads fetch in one pass; each slice of the multiplications fetches one.
    static constexpr int PASS_ROWS = THREADS / UNITS;
    static constexpr int WEIGHT_PASSES = COLUMNS / PASS_ROWS;
    static constexpr int IN_PASSES = Input::SHARED ? 0 : ROWS / PASS_ROWS;
    static constexpr int SLICE = 32;
    static constexpr int SLICES = DEPTH / SLICE;
    static_assert(WEIGHT_PASSES == SLICES && IN_PASSES <= SLICES, "a slice brings a pass of the weights, and of the input");

    const T* in;
    const Columns& columns;
    int rows;
    int depth;
    T* shared;
    int firstColumn;
    int lastColumn;
    Input input;
    const T* weightRows[WEIGHT_PASSES];

    // Finds the thread's rows of the weights; null for rows that do not exist. For these the stage keeps its contents:
    // they affect only outputs that are not stored.
    __device__ __forceinline__ void findWeights() {
#pragma unroll
        for (int pass = 0; pass < WEIGHT_PASSES; pass++) {
            int column = firstColumn + pass * PASS_ROWS + threadIdx.x / UNITS;
            weightRows[pass] = column < lastColumn ? columns.weights(column, depth) : nullptr;
        }
    }

    // Starts to fetch the thread's unit of a row's elements [step * DEPTH, + DEPTH) to row `at` of a stage.
    __device__ __forceinline__ void bring(const T* row, int step, int stage, int at) const {
        int unit = threadIdx.x % UNITS * VECTOR;
        int k = step * DEPTH + unit;
        T* to = shared + stage * STAGE_ELEMENTS + at * PITCH + unit;
        if (VECTORS) {
            bool exists = k < depth;
            copyAsync(static_cast<uint32_t>(__cvta_generic_to_shared(to)), exists ? row + k : in, exists);
        } else {
            for (int j = 0; j < VECTOR; j++) {
                to[j] = k + j < depth ? row[k + j] : Element<T>::narrow(0.0f);
            }
        }
    }

    __device__ __forceinline__ void bringWeights(int pass, int step, int stage) const {
        if (weightRows[pass] != nullptr) {
            bring(weightRows[pass], step, stage, pass * PASS_ROWS + threadIdx.x / UNITS);
        }
    }

    __device__ __forceinline__ void bringIn(int pass, int step, int stage) const {
        int row = pass * PASS_ROWS + threadIdx.x / UNITS;
        if (row < rows) {
            bring(in + static_cast<size_t>(row) * depth, step, stage, COLUMNS + row);
        }
    }

    // The work of the warp that fetches a shared input: each block of a cluster copies its share of the rows to all
    // blocks.
    __device__ __forceinline__ void bringShared() const {
        int lane = threadIdx.x % 32;
        uint32_t base = static_cast<uint32_t>(__cvta_generic_to_shared(shared + COLUMNS * PITCH));
        Turn turn;
        for (int k = 0; k < depth; k += DEPTH) {
            if (k >= STAGES * DEPTH) {
                awaitBarrier(input.emptied(turn.stage), turn.phase ^ 1);
                if (lane == 0) {
                    arriveAt(input.emptiedThere(turn.stage), clusterRank() ^ 1);
                }
                awaitBarrier(input.emptiedThere(turn.stage), turn.phase ^ 1);
            }
            uint32_t bytes = 2 * (depth - k < DEPTH ? depth - k : DEPTH);
            if (lane == 0) {
                expectBytes(input.filled(turn.stage), rows * bytes);
            }
            __syncwarp();
            for (int row = clusterRank() + PRODUCT_CLUSTER * lane; row < rows; row += 32 * PRODUCT_CLUSTER) {
                copyToCluster<PRODUCT_CLUSTER>(base + turn.stage * STAGE_BYTES + 2 * row * PITCH,
                                               in + static_cast<size_t>(row) * depth + k, bytes,
                                               input.filled(turn.stage));
            }
            turn.template advance<STAGES>();
        }
    }

    __device__ __forceinline__ void run(int firstRow) {
        int lane = threadIdx.x % 32;
        int warp = threadIdx.x / 32;
        int column = firstColumn + warp * TILE_COLUMNS + lane % 4 * 2;
        // Lanes name the rows of four matrices of 8 by 8: of the weights, eight columns by 32 k; of the input, sixteen
        // rows by 16 k.
        uint32_t base = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
        uint32_t weightAt = base + 2 * ((warp * TILE_COLUMNS + lane % 8) * PITCH + lane / 8 * 8);
        uint32_t inAt = base + 2 * ((COLUMNS + lane % 16) * PITCH + lane / 16 * 8);
        int steps = (depth + DEPTH - 1) / DEPTH;
        findWeights();
        // The weights exist before any kernel runs, so the first of them are fetched while the preceding kernel still
        // runs.
#pragma unroll
        for (int s = 0; s < STAGES - 1; s++) {
#pragma unroll
            for (int pass = 0; s < steps && pass < WEIGHT_PASSES; pass++) {
                bringWeights(pass, s, s);
            }
            if (Input::SHARED) {
                commitCopies();
            }
        }
        awaitEarlierKernels();
#pragma unroll
        for (int s = 0; !Input::SHARED && s < STAGES - 1; s++) {
#pragma unroll
            for (int pass = 0; s < steps && pass < IN_PASSES; pass++) {
                bringIn(pass, s, s);
            }
            commitCopies();
        }
        float sums[ROW_TILES][4] = {};
        // Requested now, the values to which the sums are added arrive before the sums are done.
        float before[ROW_TILES][2][2];
        auto rowOf = [&](int tile, int half) { return tile * 16 + half * 8 + lane / 4; };
#pragma unroll
        for (int i = 0; i < ROW_TILES; i++) {
#pragma unroll
            for (int x = 0; x < 4; x++) {
                int row = rowOf(i, x / 2);
                bool exists = row < rows && column < lastColumn;
                before[i][x / 2][x % 2] = exists ? columns.before(firstRow + row, column + x % 2) : 0.0f;
            }
        }
        Turn turn;
        for (int step = 0; step < steps; step++) {
            awaitCopies<STAGES - 2>();
            syncThreads<THREADS>();
            int next = step + STAGES - 1;
            int free = turn.stage == 0 ? STAGES - 1 : turn.stage - 1;
            if constexpr (Input::SHARED) {
                if (step > 0) {
                    arrive(input.emptied(free));
                }
                awaitBarrier(input.filled(turn.stage), turn.phase);
            }
            uint32_t offset = turn.stage * STAGE_BYTES;
            // The next slice's fragments and a later step's copies are requested between the multiplications, each of
            // which waits for the sums of the one before.
            uint32_t b[2][4];
            uint32_t a[2][2][ROW_TILES][4];
            auto loadSlice = [&](int slice) {
                loadMatrices(b[slice % 2], weightAt + offset + 2 * SLICE * slice);
#pragma unroll
                for (int half = 0; half < 2; half++) {
#pragma unroll
                    for (int i = 0; i < ROW_TILES; i++) {
                        loadMatrices(a[slice % 2][half][i],
                                     inAt + offset + 2 * (i * 16 * PITCH + SLICE * slice + 16 * half));
                    }
                }
            };
            loadSlice(0);
#pragma unroll
            for (int slice = 0; slice < SLICES; slice++) {
                if (slice + 1 < SLICES) {
                    loadSlice(slice + 1);
                }
                // A shared input ends with its last slice; after it the stage holds older contents.
                if (!Input::SHARED || step * DEPTH + slice * SLICE < depth) {
#pragma unroll
                    for (int half = 0; half < 2; half++) {
#pragma unroll
                        for (int i = 0; i < ROW_TILES; i++) {
                            multiply(sums[i], a[slice % 2][half][i], b[slice % 2][2 * half], b[slice % 2][2 * half + 1],
                                     static_cast<T*>(nullptr));
                        }
                    }
                }
                if (next < steps) {
                    bringWeights(slice, next, free);
                    if (slice < IN_PASSES) {
                        bringIn(slice, next, free);
                    }
                }
            }
            commitCopies();
            turn.template advance<STAGES>();
        }
        if constexpr (Input::SHARED) {
            arriveAtCluster();
        }
#pragma unroll
        for (int i = 0; i < ROW_TILES; i++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int row = rowOf(i, half);
                if (row < rows && column < lastColumn) {
                    const float both[2] = {sums[i][2 * half], sums[i][2 * half + 1]};
                    columns.finish(firstRow + row, column, both, before[i][half]);
                }
            }
        }
    }
};

// A block's share of the columns.
struct Share {
    int first;
    int last;

    __device__ __forceinline__ explicit Share(int columns) {
        long long tiles = (columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
        first = static_cast<int>(tiles * blockIdx.x / gridDim.x) * TILE_COLUMNS;
        last = min(static_cast<int>(tiles * (blockIdx.x + 1) / gridDim.x) * TILE_COLUMNS, columns);
    }
};

template <typename T, int ROW_TILES, int DEPTH, int STAGES, bool VECTORS, typename Columns>
__device__ __forceinline__ void product(const T* in, const Columns& columns, int rows, int depth) {
    extern __shared__ __align__(16) unsigned char productStages[];
    using P = Product<T, Columns, OwnInput, OWN_INPUT_WARPS, ROW_TILES, DEPTH, STAGES, VECTORS>;
    int firstRow = blockIdx.y * P::ROWS;
    Share share(columns.count());
    P product{in + static_cast<size_t>(firstRow) * depth,
              columns,
              rows - firstRow,
              depth,
              reinterpret_cast<T*>(productStages),
              share.first,
              share.last,
              {},
              {}};
    letNextKernelStart();
    product.run(firstRow);
}

// For at least as many rows as a cluster has blocks and no more than a block has, a depth that is a multiple of 32, and
// an even number of blocks.
template <typename T, int WARPS, int ROW_TILES, int DEPTH, int STAGES, typename Columns>
__device__ __forceinline__ void clusterProduct(const T* in, const Columns& columns, int rows, int depth) {
    extern __shared__ __align__(16) unsigned char productStages[];
    __shared__ unsigned long long barriers[SharedInput::BARRIERS * STAGES];
    using P = Product<T, Columns, SharedInput, WARPS, ROW_TILES, DEPTH, STAGES, true>;
    Share share(columns.count());
    P product{in,
              columns,
              rows,
              depth,
              reinterpret_cast<T*>(productStages),
              share.first,
              share.last,
              {static_cast<uint32_t>(__cvta_generic_to_shared(barriers))},
              {}};
    letNextKernelStart();
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < STAGES; stage++) {
            initialiseBarrier(product.input.filled(stage), 1);
            initialiseBarrier(product.input.emptied(stage), P::THREADS);
            initialiseBarrier(product.input.emptiedThere(stage), 1);
        }
        showBarriersToCluster();
    }
    arriveAtCluster();
    awaitCluster();
    if (threadIdx.x >= P::THREADS) {
        awaitEarlierKernels();
        product.bringShared();
        __syncwarp();
        arriveAtCluster();
    } else {
        product.run(0);
    }
    // A block's copies arrive in the other blocks too, so none may exit before.
    awaitCluster();
}

}  // namespace weft

// The numbers are also those of ProductKernels.java.
#define MATRICES_PARAMETERS(T)                                                                                        \
    const T *in, const T *weights, const T *bias, T *out, int columns, const T *otherWeights, const T *otherBias,     \
        T *otherOut, int otherColumns, int rows, int depth, int epilogue

#define MATRICES(T)                                                                                                   \
    TwoMatrices<T> {                                                                                                  \
        {weights, bias, out, columns}, {otherWeights, otherBias, otherOut, otherColumns}, epilogue                    \
    }

#define GATED_PARAMETERS(T)                                                                                           \
    const T *in, const T *weights, const T *bias, T *out, int columns, int rows, int depth, int activation

#define GATED(T)                                     \
    GatedMatrix<T> {                                 \
        {weights, bias, out, columns}, activation    \
    }

#define OWN_INPUT_KERNEL extern "C" __global__ void __launch_bounds__(32 * OWN_INPUT_WARPS)

#define PRODUCT_KERNEL(NAME, T, SIZE, ROW_TILES, DEPTH, STAGES, VECTORS)                                              \
    OWN_INPUT_KERNEL product_##SIZE##_##NAME(MATRICES_PARAMETERS(T)) {                                                \
        product<T, ROW_TILES, DEPTH, STAGES, VECTORS>(in, MATRICES(T), rows, depth);                                  \
    }

// Only Hopper has clusters and copies to all blocks of one: elsewhere the kernels must not be launched. BLOCKS is how
// many fit a multiprocessor.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define CLUSTER_KERNEL(WARPS, BLOCKS) \
    extern "C" __global__ void __cluster_dims__(PRODUCT_CLUSTER) __launch_bounds__(32 * WARPS + 32, BLOCKS)
#define CLUSTER_PRODUCT(T, WARPS, ROW_TILES, DEPTH, STAGES, COLUMNS) \
    clusterProduct<T, WARPS, ROW_TILES, DEPTH, STAGES>(in, COLUMNS, rows, depth)
#else
#define CLUSTER_KERNEL(WARPS, BLOCKS) extern "C" __global__ void
#define CLUSTER_PRODUCT(T, WARPS, ROW_TILES, DEPTH, STAGES, COLUMNS) __trap()
#endif

#define CLUSTER_PRODUCT_KERNEL(NAME, T, ROWS, WARPS, DEPTH, STAGES, BLOCKS)                                           \
    CLUSTER_KERNEL(WARPS, BLOCKS) product_##ROWS##_by_##WARPS##_##NAME(MATRICES_PARAMETERS(T)) {                      \
        CLUSTER_PRODUCT(T, WARPS, ROWS / 16, DEPTH, STAGES, MATRICES(T));                                             \
    }

#define CLUSTER_GATED_KERNEL(NAME, T, WARPS, DEPTH, STAGES)                                                           \
    CLUSTER_KERNEL(WARPS, 2) product_gated_by_##WARPS##_##NAME(GATED_PARAMETERS(T)) {                                 \
        CLUSTER_PRODUCT(T, WARPS, 1, DEPTH, STAGES, GATED(T));                                                        \
    }

#define PRODUCT_KERNELS(NAME, T)                                                                                      \
    PRODUCT_KERNEL(NAME, T, 16, 1, 256, 4, true)                                                                      \
    PRODUCT_KERNEL(NAME, T, any, 2, 64, 3, false)                                                                     \
    OWN_INPUT_KERNEL product_gated_##NAME(GATED_PARAMETERS(T)) {                                                      \
        product<T, 1, 256, 4, true>(in, GATED(T), rows, depth);                                                       \
    }                                                                                                                 \
    CLUSTER_PRODUCT_KERNEL(NAME, T, 16, 4, 256, 4, 2)                                                                 \
    CLUSTER_PRODUCT_KERNEL(NAME, T, 16, 5, 256, 3, 2)                                                                 \
    CLUSTER_PRODUCT_KERNEL(NAME, T, 16, 6, 256, 3, 2)                                                                 \
    CLUSTER_PRODUCT_KERNEL(NAME, T, 16, 8, 128, 5, 2)                                                                 \
    CLUSTER_PRODUCT_KERNEL(NAME, T, 32, 4, 256, 6, 1)                                                                 \
    CLUSTER_PRODUCT_KERNEL(NAME, T, 32, 5, 256, 5, 1)                                                                 \
    CLUSTER_PRODUCT_KERNEL(NAME, T, 32, 6, 128, 5, 2)                                                                 \
    CLUSTER_PRODUCT_KERNEL(NAME, T, 32, 8, 128, 4, 2)                                                                 \
    CLUSTER_GATED_KERNEL(NAME, T, 4, 256, 4)                                                                          \
    CLUSTER_GATED_KERNEL(NAME, T, 5, 256, 3)                                                                          \
    CLUSTER_GATED_KERNEL(NAME, T, 6, 256, 3)                                                                          \
    CLUSTER_GATED_KERNEL(NAME, T, 8, 128, 5)

PRODUCT_KERNELS(f16, __half)
PRODUCT_KERNELS(bf16, __nv_bfloat16)
