// Mixture of experts (Shazeer et al. 2017): each row is sent to a few of E gated feed-forward networks, and their
// outputs are added with weights. A pair is a row and one of its chosen experts: pair row * chosen + rank.
//
// 1. route: a warp per row finds the largest logits and makes weights of them.
// 2. sort_experts, for more than SLOT_ROWS rows: pairs by expert, and tiles, each of which is an expert and some of its
//    pairs. With fewer rows a block finds its pairs by itself: block p works on all pairs with the expert of pair p,
//    unless an earlier pair has the same.
// 3. experts_in: inner (pairs, F) = gating(gate, up), with gate | up (2 F, D) of the pair's expert.
// 4. experts_out: partial (pairs, D) fp32 = inner * W^T + bias, with W (D, F) of the pair's expert.
// 5. combine_experts: a row's partials times their weights, added in the order of rank, rounded once.
//
// No expert is read that no row chose, and the host reads nothing in between. Each output element of 3 and 4 has one
// accumulator, to which mma.m16n8k16 adds sixteen products at a time from k = 0 upwards, whatever the size of tiles: a
// pair has the same bits alone and among others.
//
// Grid of 3 and 4: (slots or tiles, parts of the columns). The parts of one expert's columns are far apart in the
// order of blocks, its tiles next to each other, so that they read the same weights at the same time.
#pragma once

#include "common.cuh"
#include "pointwise.cuh"

namespace weft {

// Rows for which blocks find their pairs themselves. A row chooses an expert once, so no expert has more pairs.
constexpr int SLOT_ROWS = 16;
constexpr int EXPERTS_MOST = 1024;
constexpr int SORT_THREADS = 1024;
constexpr int COMBINED_COLUMNS = 4;

// How gate and up become one value. The numbers below CLAMPED_SWIGLU are those of Activation.
constexpr int CLAMPED_SWIGLU = 4;

struct Gating {
    int code;
    float limit;
    float alpha;

    __device__ __forceinline__ float operator()(float gate, float up) const {
        if (code == CLAMPED_SWIGLU) {
            // A NaN stays one.
            gate = gate > limit ? limit : gate;
            up = up > limit ? limit : up < -limit ? -limit : up;
            return (up + 1.0f) * (gate / (1.0f + expf(-alpha * gate)));
        }
        return activate(code, gate) * up;
    }
};

// A float as an integer of the same order; -0 counts as 0, and NaN as -infinity.
__device__ __forceinline__ uint32_t ordered(float x) {
    uint32_t bits = __float_as_uint(isnan(x) ? NEGATIVE_INFINITY : x + 0.0f);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// One warp per row: logits (rows, experts), ids and weights (rows, chosen). The largest logit first, the smaller id
// among equals. Weights are the softmax over all experts, or over the chosen ones.
template <typename T>
__device__ __forceinline__ void route(const T* logits, int* ids, float* weights, int rows, int experts, int chosen,
                                      int overAll) {
    constexpr int LANE_EXPERTS = EXPERTS_MOST / 32;
    int lane = threadIdx.x % 32;
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (row >= rows) {
        return;
    }
    const T* from = logits + static_cast<size_t>(row) * experts;
    // Above any key that is no expert's: 0.
    uint32_t keys[LANE_EXPERTS];
    float largest = NEGATIVE_INFINITY;
#pragma unroll
    for (int i = 0; i < LANE_EXPERTS; i++) {
        int expert = i * 32 + lane;
        keys[i] = 0;
        if (i * 32 < experts && expert < experts) {
            float x = Element<T>::widen(from[expert]);
            keys[i] = ordered(x);
            largest = fmaxf(largest, x);
        }
    }
#pragma unroll
    for (int half = 16; half > 0; half /= 2) {
        largest = fmaxf(largest, __shfl_xor_sync(FULL_WARP, largest, half));
    }
    float sum = 0.0f;
    if (overAll) {
        for (int expert = lane; expert < experts; expert += 32) {
            sum += expf(Element<T>::widen(from[expert]) - largest);
        }
        sum = warpSum(sum);
    }
    int* toIds = ids + static_cast<size_t>(row) * chosen;
    float* toWeights = weights + static_cast<size_t>(row) * chosen;
    for (int rank = 0; rank < chosen; rank++) {
        uint64_t best = 0;
#pragma unroll
        for (int i = 0; i < LANE_EXPERTS; i++) {
            if (i * 32 < experts) {
                uint64_t key = static_cast<uint64_t>(keys[i]) << 32 | (0xffffffffu - (i * 32 + lane));
                best = key > best ? key : best;
            }
        }
#pragma unroll
        for (int half = 16; half > 0; half /= 2) {
            uint64_t other = __shfl_xor_sync(FULL_WARP, static_cast<unsigned long long>(best), half);
            best = other > best ? other : best;
        }
        int expert = static_cast<int>(0xffffffffu - static_cast<uint32_t>(best));
#pragma unroll
        for (int i = 0; i < LANE_EXPERTS; i++) {
            if (i * 32 + lane == expert) {
                keys[i] = 0;
            }
        }
        float weight = expf(Element<T>::widen(from[expert]) - largest);
        if (!overAll) {
            sum += weight;
        }
        if (lane == 0) {
            toIds[rank] = expert;
            toWeights[rank] = weight;
        }
    }
    if (lane == 0) {
        for (int rank = 0; rank < chosen; rank++) {
            toWeights[rank] /= sum;
        }
    }
}

// The sum of `x` over all threads before this one, and over all threads. No other scan uses `warps`.
__device__ __forceinline__ int blockScan(int x, int* warps, int& total) {
    int lane = threadIdx.x % 32;
    int warp = threadIdx.x / 32;
    int sum = x;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
        int before = __shfl_up_sync(FULL_WARP, sum, step);
        sum += lane >= step ? before : 0;
    }
    if (lane == 31) {
        warps[warp] = sum;
    }
    __syncthreads();
    int before = 0;
    total = 0;
    for (int i = 0; i < SORT_THREADS / 32; i++) {
        before += i < warp ? warps[i] : 0;
        total += warps[i];
    }
    return before + sum - x;
}

// Block e writes the pairs of expert e, in ascending order, after those of the experts before it, and their tiles:
// (expert, first place in `order`, pairs, 0), of at most `tileRows` pairs. It counts all pairs itself, so blocks need
// nothing of each other.
__device__ __forceinline__ void sortExperts(const int* ids, int pairs, int experts, int tileRows, int* order,
                                            int4* tiles, int* tileCount) {
    __shared__ int counts[EXPERTS_MOST];
    __shared__ int warps[3][SORT_THREADS / 32];
    int expert = blockIdx.x;
    for (int i = threadIdx.x; i < experts; i += SORT_THREADS) {
        counts[i] = 0;
    }
    __syncthreads();
    int share = (pairs + SORT_THREADS - 1) / SORT_THREADS;
    int first = min(static_cast<int>(threadIdx.x) * share, pairs);
    int last = min(first + share, pairs);
    int mine = 0;
    for (int pair = first; pair < last; pair++) {
        int id = ids[pair];
        if (id >= 0 && id < experts) {
            atomicAdd(&counts[id], 1);
            mine += id == expert ? 1 : 0;
        }
    }
    __syncthreads();
    bool isBefore = static_cast<int>(threadIdx.x) < expert;
    int count = isBefore ? counts[threadIdx.x] : 0;
    int firstPlace;
    int firstTile;
    int all;
    int place = blockScan(mine, warps[0], all);
    blockScan(count, warps[1], firstPlace);
    blockScan((count + tileRows - 1) / tileRows, warps[2], firstTile);
    place += firstPlace;
    for (int pair = first; pair < last; pair++) {
        if (ids[pair] == expert) {
            order[place++] = pair;
        }
    }
    int ownTiles = (all + tileRows - 1) / tileRows;
    for (int tile = threadIdx.x; tile < ownTiles; tile += SORT_THREADS) {
        int from = tile * tileRows;
        tiles[firstTile + tile] = make_int4(expert, firstPlace + from, min(tileRows, all - from), 0);
    }
    if (expert == experts - 1 && threadIdx.x == 0) {
        *tileCount = firstTile + ownTiles;
    }
}

// Which pairs work on what: without tiles, those of slots.
struct Pairs {
    const int* ids;
    int count;
    int experts;
    const int* order;
    const int4* tiles;
    const int* tileCount;

    // Finds the expert of block blockIdx.x and its pairs; their number is 0 if there is nothing to do. Every warp finds
    // the same. Ends with a barrier.
    template <int ROWS>
    __device__ __forceinline__ int find(int& expert, int* members) const {
        int found = 0;
        if (tiles != nullptr) {
            if (static_cast<int>(blockIdx.x) >= *tileCount) {
                return 0;
            }
            int4 tile = tiles[blockIdx.x];
            expert = tile.x;
            found = tile.z;
            for (int i = threadIdx.x; i < found; i += blockDim.x) {
                members[i] = order[tile.y + i];
            }
        } else {
            int slot = blockIdx.x;
            int lane = threadIdx.x % 32;
            expert = ids[slot];
            if (expert < 0 || expert >= experts) {
                return 0;
            }
            for (int first = 0; first < count; first += 32) {
                int pair = first + lane;
                bool same = pair < count && ids[pair] == expert;
                if (__ballot_sync(FULL_WARP, same && pair < slot) != 0) {
                    return 0;
                }
                unsigned all = __ballot_sync(FULL_WARP, same);
                int place = found + __popc(all & ((1u << lane) - 1));
                if (same && threadIdx.x < 32 && place < ROWS) {
                    members[place] = pair;
                }
                found += __popc(all);
            }
            found = min(found, ROWS);
        }
        __syncthreads();
        return found;
    }
};

// Gates and the values that they gate: column 2 j is gate j, column 2 j + 1 is value j, so that one thread has both.
template <typename T>
struct ExpertIn {
    const T* in;
    const T* weights;
    const T* bias;
    T* inner;
    int chosen;
    int width;
    int innerWidth;
    Gating gating;

    __device__ __forceinline__ int columns() const { return 2 * innerWidth; }
    __device__ __forceinline__ int depth() const { return width; }

    __device__ __forceinline__ const T* row(int pair) const { return in + static_cast<size_t>(pair / chosen) * width; }

    __device__ __forceinline__ size_t weightRow(int expert, int column) const {
        return static_cast<size_t>(expert) * 2 * innerWidth + column / 2 + column % 2 * innerWidth;
    }

    __device__ __forceinline__ void finish(int expert, int pair, int column, float first, float second) const {
        if (bias != nullptr) {
            first = __fadd_rn(first, Element<T>::widen(bias[weightRow(expert, column)]));
            second = __fadd_rn(second, Element<T>::widen(bias[weightRow(expert, column + 1)]));
        }
        inner[static_cast<size_t>(pair) * innerWidth + column / 2] = Element<T>::narrow(gating(first, second));
    }
};

template <typename T>
struct ExpertOut {
    const T* inner;
    const T* weights;
    const T* bias;
    float* partial;
    int width;
    int innerWidth;

    __device__ __forceinline__ int columns() const { return width; }
    __device__ __forceinline__ int depth() const { return innerWidth; }

    __device__ __forceinline__ const T* row(int pair) const { return inner + static_cast<size_t>(pair) * innerWidth; }

    __device__ __forceinline__ size_t weightRow(int expert, int column) const {
        return static_cast<size_t>(expert) * width + column;
    }

    __device__ __forceinline__ void finish(int expert, int pair, int column, float first, float second) const {
        float* to = partial + static_cast<size_t>(pair) * width + column;
        bool both = column + 1 < width;
        if (bias != nullptr) {
            first = __fadd_rn(first, Element<T>::widen(bias[weightRow(expert, column)]));
            second = both ? __fadd_rn(second, Element<T>::widen(bias[weightRow(expert, column + 1)])) : 0.0f;
        }
        to[0] = first;
        if (both) {
            to[1] = second;
        }
    }
};

// A tile of ROWS pairs by COLUMNS columns. Warps form a grid of ROW_WARPS by COLUMN_WARPS; each has ROW_TILES of 16
// pairs by COLUMN_TILES of 8 columns. DEPTH elements of each row are fetched at a time into one of STAGES places in
// shared memory.
template <typename T, typename Side, int ROW_WARPS, int COLUMN_WARPS, int ROW_TILES, int COLUMN_TILES, int DEPTH,
          int STAGES, bool VECTORS>
struct ExpertProduct {
    static constexpr int THREADS = 32 * ROW_WARPS * COLUMN_WARPS;
    static constexpr int ROWS = 16 * ROW_WARPS * ROW_TILES;
    static constexpr int COLUMNS = 8 * COLUMN_WARPS * COLUMN_TILES;
    // A row's pitch is an odd number of 16-byte units, so that ldmatrix meets no bank twice.
    static constexpr int PITCH = DEPTH + VECTOR;
    static constexpr int STAGE_ELEMENTS = (COLUMNS + ROWS) * PITCH;
    static constexpr int UNITS = DEPTH / VECTOR;
    static constexpr int PASS_ROWS = THREADS / UNITS;
    static constexpr int WEIGHT_PASSES = COLUMNS / PASS_ROWS;
    static constexpr int IN_PASSES = ROWS / PASS_ROWS;
    static constexpr int SLICE = 32;
    static_assert(WEIGHT_PASSES * PASS_ROWS == COLUMNS && IN_PASSES * PASS_ROWS == ROWS && DEPTH % SLICE == 0,
                  "passes and slices are whole");

    const Side& side;
    T* shared;
    int depth;
    int firstColumn;
    int rows;
    const T* weightRows[WEIGHT_PASSES];
    const T* inRows[IN_PASSES];

    // Starts to fetch the thread's unit of a row's elements [step * DEPTH, + DEPTH) to row `at` of a stage. Rows that
    // do not exist keep their contents: they affect only outputs that are not stored.
    __device__ __forceinline__ void bring(const T* row, int step, int at) const {
        if (row == nullptr) {
            return;
        }
        int unit = threadIdx.x % UNITS * VECTOR;
        int k = step * DEPTH + unit;
        T* to = shared + step % STAGES * STAGE_ELEMENTS + (at + threadIdx.x / UNITS) * PITCH + unit;
        if (VECTORS) {
            bool exists = k < depth;
            copyAsync(static_cast<uint32_t>(__cvta_generic_to_shared(to)), exists ? row + k : row, exists);
        } else {
            for (int j = 0; j < VECTOR; j++) {
                to[j] = k + j < depth ? row[k + j] : Element<T>::narrow(0.0f);
            }
        }
    }

    __device__ __forceinline__ void bringAll(int step) const {
#pragma unroll
        for (int pass = 0; pass < WEIGHT_PASSES; pass++) {
            bring(weightRows[pass], step, pass * PASS_ROWS);
        }
#pragma unroll
        for (int pass = 0; pass < IN_PASSES; pass++) {
            bring(inRows[pass], step, COLUMNS + pass * PASS_ROWS);
        }
    }

    __device__ __forceinline__ void run(int expert, const int* members) {
        int lane = threadIdx.x % 32;
        int warp = threadIdx.x / 32;
        int warpRow = warp / COLUMN_WARPS * ROW_TILES * 16;
        int warpColumn = warp % COLUMN_WARPS * COLUMN_TILES * 8;
#pragma unroll
        for (int pass = 0; pass < WEIGHT_PASSES; pass++) {
            int column = firstColumn + pass * PASS_ROWS + threadIdx.x / UNITS;
            weightRows[pass] =
                column < side.columns() ? side.weights + side.weightRow(expert, column) * depth : nullptr;
        }
#pragma unroll
        for (int pass = 0; pass < IN_PASSES; pass++) {
            int row = pass * PASS_ROWS + threadIdx.x / UNITS;
            inRows[pass] = row < rows ? side.row(members[row]) : nullptr;
        }
        int steps = (depth + DEPTH - 1) / DEPTH;
#pragma unroll
        for (int step = 0; step < STAGES - 1; step++) {
            if (step < steps) {
                bringAll(step);
            }
            commitCopies();
        }
        // Lanes name the rows of four matrices of 8 by 8: of the weights, eight columns by 32 k; of the input, sixteen
        // rows by 16 k.
        uint32_t base = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
        uint32_t weightAt = base + 2 * ((warpColumn + lane % 8) * PITCH + lane / 8 * 8);
        uint32_t inAt = base + 2 * ((COLUMNS + warpRow + lane % 16) * PITCH + lane / 16 * 8);
        float sums[ROW_TILES][COLUMN_TILES][4] = {};
        bool works = warpRow < rows && firstColumn + warpColumn < side.columns();
        for (int step = 0; step < steps; step++) {
            awaitCopies<STAGES - 2>();
            __syncthreads();
            if (step + STAGES - 1 < steps) {
                bringAll(step + STAGES - 1);
            }
            commitCopies();
            uint32_t offset = 2 * (step % STAGES * STAGE_ELEMENTS);
#pragma unroll
            for (int slice = 0; slice < DEPTH / SLICE; slice++) {
                if (!works || step * DEPTH + slice * SLICE >= depth) {
                    break;
                }
                uint32_t b[COLUMN_TILES][4];
#pragma unroll
                for (int j = 0; j < COLUMN_TILES; j++) {
                    loadMatrices(b[j], weightAt + offset + 2 * (j * 8 * PITCH + slice * SLICE));
                }
#pragma unroll
                for (int half = 0; half < 2; half++) {
#pragma unroll
                    for (int i = 0; i < ROW_TILES; i++) {
                        uint32_t a[4];
                        loadMatrices(a, inAt + offset + 2 * (i * 16 * PITCH + slice * SLICE + half * 16));
#pragma unroll
                        for (int j = 0; j < COLUMN_TILES; j++) {
                            multiply(sums[i][j], a, b[j][2 * half], b[j][2 * half + 1], static_cast<T*>(nullptr));
                        }
                    }
                }
            }
        }
#pragma unroll
        for (int i = 0; i < ROW_TILES; i++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int row = warpRow + i * 16 + half * 8 + lane / 4;
                if (row < rows) {
                    int pair = members[row];
#pragma unroll
                    for (int j = 0; j < COLUMN_TILES; j++) {
                        int column = firstColumn + warpColumn + j * 8 + lane % 4 * 2;
                        if (column < side.columns()) {
                            side.finish(expert, pair, column, sums[i][j][2 * half], sums[i][j][2 * half + 1]);
                        }
                    }
                }
            }
        }
    }
};

template <typename T, int ROW_WARPS, int COLUMN_WARPS, int ROW_TILES, int COLUMN_TILES, int DEPTH, int STAGES,
          bool VECTORS, typename Side>
__device__ __forceinline__ void expertProduct(const Side& side, const Pairs& pairs) {
    extern __shared__ __align__(16) unsigned char expertStages[];
    using P = ExpertProduct<T, Side, ROW_WARPS, COLUMN_WARPS, ROW_TILES, COLUMN_TILES, DEPTH, STAGES, VECTORS>;
    __shared__ int members[P::ROWS];
    beginKernel();
    int expert = 0;
    int rows = pairs.find<P::ROWS>(expert, members);
    if (rows == 0) {
        return;
    }
    P product{side, reinterpret_cast<T*>(expertStages), side.depth(), static_cast<int>(blockIdx.y) * P::COLUMNS, rows,
              {},   {}};
    product.run(expert, members);
}

// out[r] = sum over ranks of weight * partial, or that added to out[r]. A thread has COMBINED_COLUMNS columns of a row.
template <typename T>
__device__ __forceinline__ void combineExperts(const float* partial, const int* ids, const float* weights, T* out,
                                               int rows, int chosen, int experts, int width, int add,
                                               longlong2* fault) {
    int perRow = (width + COMBINED_COLUMNS - 1) / COMBINED_COLUMNS;
    long long item = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    int row = static_cast<int>(item / perRow);
    if (row >= rows) {
        return;
    }
    int column = static_cast<int>(item % perRow) * COMBINED_COLUMNS;
    size_t firstPair = static_cast<size_t>(row) * chosen;
    float sums[COMBINED_COLUMNS] = {};
    bool whole = width % COMBINED_COLUMNS == 0;
    for (int rank = 0; rank < chosen; rank++) {
        int expert = ids[firstPair + rank];
        if (expert < 0 || expert >= experts) {
            if (column == 0) {
                report(fault, EXPERT_ID, row, expert);
            }
            return;
        }
        float weight = weights[firstPair + rank];
        const float* from = partial + (firstPair + rank) * width + column;
        float x[COMBINED_COLUMNS];
        if (whole) {
            float4 four = *reinterpret_cast<const float4*>(from);
            x[0] = four.x;
            x[1] = four.y;
            x[2] = four.z;
            x[3] = four.w;
        } else {
#pragma unroll
            for (int i = 0; i < COMBINED_COLUMNS; i++) {
                x[i] = column + i < width ? from[i] : 0.0f;
            }
        }
#pragma unroll
        for (int i = 0; i < COMBINED_COLUMNS; i++) {
            sums[i] = __fmaf_rn(weight, x[i], sums[i]);
        }
    }
    T* to = out + static_cast<size_t>(row) * width + column;
#pragma unroll
    for (int i = 0; i < COMBINED_COLUMNS; i++) {
        if (column + i < width) {
            to[i] = Element<T>::narrow(add ? __fadd_rn(Element<T>::widen(to[i]), sums[i]) : sums[i]);
        }
    }
}

// out[r] += values[r] / (1 + e^-logits[r]); eight elements per thread.
template <typename T>
__device__ __forceinline__ void addGated(const T* logits, const T* values, T* out, int rows, int width, int vectors) {
    int perRow = (width + VECTOR - 1) / VECTOR;
    long long item = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    long long row = item / perRow;
    if (row >= rows) {
        return;
    }
    int j = static_cast<int>(item % perRow) * VECTOR;
    float open = 1.0f / (1.0f + expf(-Element<T>::widen(logits[row])));
    float x[VECTOR];
    float y[VECTOR];
    load8(values + row * width + j, width - j, vectors, x);
    load8(out + row * width + j, width - j, vectors, y);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        y[i] = __fmaf_rn(open, x[i], y[i]);
    }
    store8(out + row * width + j, width - j, vectors, y);
}

}  // namespace weft

// The numbers are also those of ExpertKernels.java: rows of a tile (16, 64, 128, or any for 16 whose rows are not
// aligned), warps by rows and by columns, tiles of a warp, depth and stages, blocks that fit a multiprocessor.
#define EXPERT_KERNELS_OF_SIZE(NAME, T, SIZE, ROW_WARPS, COLUMN_WARPS, ROW_TILES, COLUMN_TILES, DEPTH, STAGES, BLOCKS, \
                               VECTORS)                                                                               \
    extern "C" __global__ void __launch_bounds__(32 * ROW_WARPS * COLUMN_WARPS, BLOCKS)                               \
        experts_in_##SIZE##_##NAME(const T* in, const T* weights, const T* bias, T* inner, const int* ids, int pairs, \
                                   int experts, const int* order, const int4* tiles, const int* tileCount,            \
                                   int chosen, int width, int innerWidth, int gating, float limit, float alpha) {     \
        expertProduct<T, ROW_WARPS, COLUMN_WARPS, ROW_TILES, COLUMN_TILES, DEPTH, STAGES, VECTORS>(                   \
            ExpertIn<T>{in, weights, bias, inner, chosen, width, innerWidth, {gating, limit, alpha}},                 \
            Pairs{ids, pairs, experts, order, tiles, tileCount});                                                     \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(32 * ROW_WARPS * COLUMN_WARPS, BLOCKS)                               \
        experts_out_##SIZE##_##NAME(const T* inner, const T* weights, const T* bias, float* partial, const int* ids,  \
                                    int pairs, int experts, const int* order, const int4* tiles,                      \
                                    const int* tileCount, int width, int innerWidth) {                                \
        expertProduct<T, ROW_WARPS, COLUMN_WARPS, ROW_TILES, COLUMN_TILES, DEPTH, STAGES, VECTORS>(                   \
            ExpertOut<T>{inner, weights, bias, partial, width, innerWidth},                                           \
            Pairs{ids, pairs, experts, order, tiles, tileCount});                                                     \
    }

#define EXPERT_KERNELS(NAME, T)                                                                                       \
    EXPERT_KERNELS_OF_SIZE(NAME, T, 16, 1, 4, 1, 1, 128, 4, 4, true)                                                  \
    EXPERT_KERNELS_OF_SIZE(NAME, T, 64, 2, 4, 2, 4, 64, 3, 2, true)                                                   \
    EXPERT_KERNELS_OF_SIZE(NAME, T, 128, 2, 4, 4, 4, 64, 3, 2, true)                                                  \
    EXPERT_KERNELS_OF_SIZE(NAME, T, any, 1, 4, 1, 1, 64, 3, 4, false)                                                 \
    extern "C" __global__ void __launch_bounds__(128)                                                                 \
        route_##NAME(const T* logits, int* ids, float* weights, int rows, int experts, int chosen, int overAll) {     \
        beginKernel();                                                                                                \
        route<T>(logits, ids, weights, rows, experts, chosen, overAll);                                               \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(128)                                                                 \
        combine_experts_##NAME(const float* partial, const int* ids, const float* weights, T* out, int rows,          \
                               int chosen, int experts, int width, int add, longlong2* fault) {                       \
        beginKernel();                                                                                                \
        combineExperts<T>(partial, ids, weights, out, rows, chosen, experts, width, add, fault);                      \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        add_gated_##NAME(const T* logits, const T* values, T* out, int rows, int width, int vectors) {                \
        beginKernel();                                                                                                \
        addGated<T>(logits, values, out, rows, width, vectors);                                                       \
    }

FOR_ELEMENT_TYPES(EXPERT_KERNELS)

extern "C" __global__ void __launch_bounds__(SORT_THREADS)
    sort_experts(const int* ids, int pairs, int experts, int tileRows, int* order, int4* tiles, int* tileCount) {
    beginKernel();
    sortExperts(ids, pairs, experts, tileRows, order, tiles, tileCount);
}
