// Matrix products of few rows: out (M, N) = in (M, K) * W^T, W (N, K) row-major, on tensor cores with fp32 sums.
//
// The weights pass through shared memory once, at the rate of device memory; everything else is small beside them. Each
// output element has one accumulator, to which mma.m16n8k16 adds sixteen products at a time from k = 0 upwards: the
// order in which cuBLASLt's algorithms without split K add on the same tensor cores, so a row has the same bits here
// and there. Sizes and addresses that are no multiples of 16 bytes are the work of product_any for any number of rows:
// cuBLASLt has kernels of another order for them.
//
// Grid: (N / COLUMNS, M / ROWS) rounded up; THREADS threads; STAGES * Pipe::STAGE_BYTES bytes of shared memory.
#pragma once

#include "common.cuh"
#include "pointwise.cuh"

namespace weft {

constexpr int PRODUCT_WARPS = 4;
constexpr int PRODUCT_THREADS = 32 * PRODUCT_WARPS;

// What happens to a sum: the bias is added, then as the number says. The numbers from 2 on are 2 + Activation.
enum ProductEpilogue { PRODUCT_STORE = 0, PRODUCT_ADD = 1, PRODUCT_ACTIVATE = 2 };

template <typename T, int ROW_TILES, int COLUMN_TILES, int DEPTH, int STAGES, bool VECTORS>
struct Pipe {
    static constexpr int ROWS = 16 * ROW_TILES;
    static constexpr int COLUMNS = 8 * COLUMN_TILES * PRODUCT_WARPS;
    // A row's pitch is an odd number of 16-byte units, so that ldmatrix meets no bank twice.
    static constexpr int PITCH = DEPTH + VECTOR;
    static constexpr int STAGE_ELEMENTS = (ROWS + COLUMNS) * PITCH;
    static constexpr int STAGE_BYTES = 2 * STAGE_ELEMENTS;
    static constexpr int UNITS = DEPTH / VECTOR;
    static constexpr int LOAD_ROWS = PRODUCT_THREADS / UNITS;

    const T* in;
    const T* weights;
    int rows;
    int columns;
    int depth;
    T* shared;

    // Starts to bring columns [step * DEPTH, + DEPTH) of the block's rows FIRST .. LAST - 1 to a stage: those of the
    // weights come first, the others are the input's. Rows that do not exist leave what is there: they end in outputs
    // that are not stored.
    template <int FIRST, int LAST>
    __device__ __forceinline__ void load(int step, int stage) const {
        int unit = threadIdx.x % UNITS;
        int row = threadIdx.x / UNITS;
        int k = step * DEPTH + unit * VECTOR;
        T* to = shared + stage * STAGE_ELEMENTS + row * PITCH + unit * VECTOR;
#pragma unroll
        for (int i = FIRST; i < LAST; i += LOAD_ROWS) {
            bool isWeight = i < COLUMNS;
            int r = row + (isWeight ? i : i - COLUMNS);
            const T* from = (isWeight ? weights : in) + static_cast<size_t>(r) * depth + k;
            if (r < (isWeight ? columns : rows)) {
                if (VECTORS) {
                    bool exists = k < depth;
                    copyAsync(static_cast<uint32_t>(__cvta_generic_to_shared(to + i * PITCH)),
                              exists ? from : weights, exists);
                } else {
                    for (int j = 0; j < VECTOR; j++) {
                        to[i * PITCH + j] = k + j < depth ? from[j] : Element<T>::narrow(0.0f);
                    }
                }
            }
        }
    }

    __device__ __forceinline__ void sum(float (&sums)[ROW_TILES][COLUMN_TILES][4]) const {
        int lane = threadIdx.x % 32;
        int warp = threadIdx.x / 32;
        // Lanes name the rows of four matrices of 8 by 8: of the weights, eight features by 32 k; of the input,
        // sixteen rows by 16 k.
        uint32_t base = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
        uint32_t weightAt = base + 2 * ((warp * 8 * COLUMN_TILES + lane % 8) * PITCH + lane / 8 * 8);
        uint32_t inAt = base + 2 * ((COLUMNS + lane % 16) * PITCH + lane / 16 * 8);
        int steps = (depth + DEPTH - 1) / DEPTH;
        // The weights are there before any kernel runs, so the first of them come while the kernel before still runs.
        if (steps < STAGES) {
            letNextKernelStart();
        }
#pragma unroll
        for (int s = 0; s < STAGES - 1; s++) {
            if (s < steps) {
                load<0, COLUMNS>(s, s);
            }
        }
        awaitEarlierKernels();
#pragma unroll
        for (int s = 0; s < STAGES - 1; s++) {
            if (s < steps) {
                load<COLUMNS, COLUMNS + ROWS>(s, s);
            }
            commitCopies();
        }
        int stage = 0;
        for (int step = 0; step < steps; step++) {
            awaitCopies<STAGES - 2>();
            __syncthreads();
            int next = step + STAGES - 1;
            if (next < steps) {
                load<0, COLUMNS + ROWS>(next, stage == 0 ? STAGES - 1 : stage - 1);
            }
            commitCopies();
            if (next == steps) {
                // Nothing is left to ask for, so the next kernel may.
                letNextKernelStart();
            }
            uint32_t offset = stage * STAGE_BYTES;
#pragma unroll
            for (int k = 0; k < DEPTH; k += 32) {
                uint32_t b[COLUMN_TILES][4];
#pragma unroll
                for (int j = 0; j < COLUMN_TILES; j++) {
                    loadMatrices(b[j], weightAt + offset + 2 * (j * 8 * PITCH + k));
                }
#pragma unroll
                for (int half = 0; half < 2; half++) {
#pragma unroll
                    for (int i = 0; i < ROW_TILES; i++) {
                        uint32_t a[4];
                        loadMatrices(a, inAt + offset + 2 * (i * 16 * PITCH + k + 16 * half));
#pragma unroll
                        for (int j = 0; j < COLUMN_TILES; j++) {
                            multiply(sums[i][j], a, b[j][2 * half], b[j][2 * half + 1], static_cast<T*>(nullptr));
                        }
                    }
                }
            }
            stage = stage == STAGES - 1 ? 0 : stage + 1;
        }
    }
};

// One element. What follows the bias, ReLU apart, sees the rounded sum, as it does when it is a kernel of its own.
template <typename T>
__device__ __forceinline__ void finishProduct(float sum, T* out, const T* bias, int column, int epilogue) {
    if (bias != nullptr) {
        sum = __fadd_rn(sum, Element<T>::widen(bias[column]));
    }
    if (epilogue == PRODUCT_ACTIVATE + RELU) {
        sum = fmaxf(sum, 0.0f);
    } else if (epilogue != PRODUCT_STORE) {
        float rounded = Element<T>::widen(Element<T>::narrow(sum));
        sum = epilogue == PRODUCT_ADD ? __fadd_rn(Element<T>::widen(*out), rounded)
                                      : activate(epilogue - PRODUCT_ACTIVATE, rounded);
    }
    *out = Element<T>::narrow(sum);
}

template <typename T, int ROW_TILES, int COLUMN_TILES, int DEPTH, int STAGES, bool VECTORS>
__device__ __forceinline__ void product(const T* in, const T* weights, const T* bias, T* out, int rows, int columns,
                                        int depth, int epilogue) {
    extern __shared__ __align__(16) unsigned char productStages[];
    using P = Pipe<T, ROW_TILES, COLUMN_TILES, DEPTH, STAGES, VECTORS>;
    int firstRow = blockIdx.y * P::ROWS;
    int firstColumn = blockIdx.x * P::COLUMNS;
    P pipe{in + static_cast<size_t>(firstRow) * depth,
           weights + static_cast<size_t>(firstColumn) * depth,
           rows - firstRow,
           columns - firstColumn,
           depth,
           reinterpret_cast<T*>(productStages)};
    float sums[ROW_TILES][COLUMN_TILES][4] = {};
    pipe.sum(sums);
    int lane = threadIdx.x % 32;
    int warp = threadIdx.x / 32;
#pragma unroll
    for (int i = 0; i < ROW_TILES; i++) {
#pragma unroll
        for (int j = 0; j < COLUMN_TILES; j++) {
#pragma unroll
            for (int x = 0; x < 4; x++) {
                int row = firstRow + i * 16 + lane / 4 + x / 2 * 8;
                int column = firstColumn + (warp * COLUMN_TILES + j) * 8 + lane % 4 * 2 + x % 2;
                if (row < rows && column < columns) {
                    finishProduct(sums[i][j][x], out + static_cast<size_t>(row) * columns + column, bias, column,
                                  epilogue);
                }
            }
        }
    }
}

}  // namespace weft

// SIZE is the rows of a block; the numbers are also those of KernelSet.java. `deep` takes all of a multiprocessor's shared
// memory, for grids of no more than a block each.
#define PRODUCT_KERNEL(NAME, T, SIZE, ROW_TILES, COLUMN_TILES, DEPTH, STAGES, VECTORS)                         \
    extern "C" __global__ void __launch_bounds__(PRODUCT_THREADS)                                              \
        product_##SIZE##_##NAME(const T* in, const T* weights, const T* bias, T* out, int rows, int columns,   \
                                int depth, int epilogue) {                                                     \
        product<T, ROW_TILES, COLUMN_TILES, DEPTH, STAGES, VECTORS>(in, weights, bias, out, rows, columns,     \
                                                                    depth, epilogue);                          \
    }

#define PRODUCT_KERNELS(NAME, T)                           \
    PRODUCT_KERNEL(NAME, T, 16, 1, 1, 128, 7, true)        \
    PRODUCT_KERNEL(NAME, T, 16_deep, 1, 1, 128, 16, true)  \
    PRODUCT_KERNEL(NAME, T, any, 2, 1, 64, 3, false)

PRODUCT_KERNELS(f16, __half)
PRODUCT_KERNELS(bf16, __nv_bfloat16)
