// Experts with quantised weights, which are read as they are stored: codes.cuh says how, and the tiles of an expert's
// matrix come after those of the experts before it. Otherwise these are the kernels of experts.cuh, with the same
// pairs, tiles and order of addition: a pair has the same bits as with weights that were made elements of 16 bits
// first.
//
// All warps of a block have the same ROWS pairs, and each has TILES tiles of eight rows of W. Its lanes copy their own
// codes to shared memory and make elements of them in registers, where mma.m16n8k16 wants them. For gates and the
// values that they gate, the first half of a warp's tiles are gates and the second half are the values of these.
//
// Widths are multiples of 8, addresses of 16 bytes, groups at least 32 k long.
#pragma once

#include "codes.cuh"
#include "experts.cuh"

namespace weft {

template <typename T, typename Codes, typename Side, int WARPS, int ROW_TILES, int DEPTH, int STAGES>
struct QuantisedExpertProduct {
    using Layout = CodeLayout<Codes>;
    static constexpr int TILES = Side::TILES;
    static constexpr int THREADS = 32 * WARPS;
    static constexpr int ROWS = 16 * ROW_TILES;
    static constexpr int UNITS = DEPTH / Layout::UNIT_K;
    static constexpr int GROUP_LEAST = 32;
    static constexpr int GROUP_BYTES = 4 * TILE_ROWS;
    static constexpr int CODE_BYTES = UNITS * UNIT_BYTES;
    static constexpr int TILE_BYTES = CODE_BYTES + DEPTH / GROUP_LEAST * GROUP_BYTES;
    static constexpr int WARP_BYTES = STAGES * TILES * TILE_BYTES;
    // A row's pitch is an odd number of 16-byte units, so that ldmatrix meets no bank twice.
    static constexpr int PITCH = DEPTH + VECTOR;
    static constexpr int IN_BYTES = 2 * ROWS * PITCH;
    static constexpr int IN_UNITS = DEPTH / VECTOR;
    static constexpr int PASS_ROWS = THREADS / IN_UNITS;
    static constexpr int IN_PASSES = ROWS / PASS_ROWS;
    static_assert(UNITS * Layout::UNIT_K == DEPTH, "a stage has whole units");
    static_assert(2 * DEPTH / GROUP_LEAST <= 32, "a lane copies half of a group's scales");
    static_assert(PASS_ROWS * IN_UNITS == THREADS && IN_PASSES * PASS_ROWS == ROWS, "passes are whole");

    const Side& side;
    int rows;
    int depth;
    int groupShift;
    uint32_t inAt;
    uint32_t warpAt;
    const T* inRows[IN_PASSES];
    // The warp's tiles among those of all experts; below 0 for those that do not exist, whose sums are not stored.
    int tiles[TILES];

    __device__ __forceinline__ void find(int expert, int firstTile, const int* members) {
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            int tile = side.tile(firstTile, t);
            tiles[t] = tile < 0 ? -1 : expert * side.tiles() + tile;
        }
#pragma unroll
        for (int pass = 0; pass < IN_PASSES; pass++) {
            int row = pass * PASS_ROWS + threadIdx.x / IN_UNITS;
            inRows[pass] = row < rows ? side.row(members[row]) : nullptr;
        }
    }

    __device__ __forceinline__ void bring(int step) const {
        int lane = threadIdx.x % 32;
        int stage = step % STAGES;
        int units = Layout::units(depth);
        int groups = Layout::groups(depth, groupShift);
        int firstGroup = (step * DEPTH) >> groupShift;
        int stageGroups = max(1, DEPTH >> groupShift);
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            if (tiles[t] < 0) {
                continue;
            }
            const uint4* codes = side.codes + static_cast<size_t>(tiles[t]) * units * 32;
            const uint32_t* scales = side.scales + static_cast<size_t>(tiles[t]) * groups * TILE_ROWS;
            uint32_t to = warpAt + (stage * TILES + t) * TILE_BYTES;
#pragma unroll
            for (int u = 0; u < UNITS; u++) {
                int unit = step * UNITS + u;
                bool exists = unit < units;
                copyAsync(to + u * UNIT_BYTES + 16 * lane, codes + (exists ? unit * 32 + lane : 0), exists);
            }
            if (lane < 2 * stageGroups) {
                int group = firstGroup + lane / 2;
                bool exists = group < groups;
                copyAsync(to + CODE_BYTES + 16 * lane, scales + (exists ? group * TILE_ROWS + lane % 2 * 4 : 0), exists);
            }
        }
        int unit = threadIdx.x % IN_UNITS * VECTOR;
        int k = step * DEPTH + unit;
#pragma unroll
        for (int pass = 0; pass < IN_PASSES; pass++) {
            if (inRows[pass] != nullptr) {
                int row = pass * PASS_ROWS + threadIdx.x / IN_UNITS;
                bool exists = k < depth;
                copyAsync(inAt + stage * IN_BYTES + 2 * (row * PITCH + unit), inRows[pass] + (exists ? k : 0), exists);
            }
        }
    }

    static __device__ __forceinline__ uint4 loadWords(uint32_t address) {
        uint4 words;
        asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];"
                     : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
                     : "r"(address));
        return words;
    }

    static __device__ __forceinline__ uint32_t loadWord(uint32_t address) {
        uint32_t word;
        asm volatile("ld.shared.u32 %0, [%1];" : "=r"(word) : "r"(address));
        return word;
    }

    // Adds the products of a step's slice of the depth.
    __device__ __forceinline__ void add(int step, float (&sums)[TILES][ROW_TILES][4]) const {
        int lane = threadIdx.x % 32;
        int stage = step % STAGES;
        uint32_t a = inAt + stage * IN_BYTES + 2 * (lane % 16 * PITCH + lane / 16 * 8);
        uint32_t codeAt = warpAt + stage * TILES * TILE_BYTES;
#pragma unroll
        for (int u = 0; u < UNITS; u++) {
            uint4 words[TILES];
#pragma unroll
            for (int t = 0; t < TILES; t++) {
                words[t] = loadWords(codeAt + t * TILE_BYTES + u * UNIT_BYTES + 16 * lane);
            }
#pragma unroll
            for (int w = 0; w < 4; w++) {
                int k = u * Layout::UNIT_K + w * Layout::WORD_K;
                if (step * DEPTH + k >= depth) {
                    break;
                }
                uint32_t scaleAt = CODE_BYTES + GROUP_BYTES * (k >> groupShift) + 4 * (lane / 4);
                uint32_t pairs[TILES][Layout::PAIRS];
#pragma unroll
                for (int t = 0; t < TILES; t++) {
                    uint32_t word = w == 0 ? words[t].x : w == 1 ? words[t].y : w == 2 ? words[t].z : words[t].w;
                    Codes::template expand<T>(word, loadWord(codeAt + t * TILE_BYTES + scaleAt), pairs[t]);
                }
#pragma unroll
                for (int half = 0; half < Layout::PAIRS / 2; half++) {
#pragma unroll
                    for (int i = 0; i < ROW_TILES; i++) {
                        uint32_t values[4];
                        loadMatrices(values, a + 2 * (i * 16 * PITCH + k + 16 * half));
#pragma unroll
                        for (int t = 0; t < TILES; t++) {
                            multiply(sums[t][i], values, pairs[t][2 * half], pairs[t][2 * half + 1],
                                     static_cast<T*>(nullptr));
                        }
                    }
                }
            }
        }
    }

    __device__ __forceinline__ void run(int expert, int firstTile, const int* members) const {
        int lane = threadIdx.x % 32;
        int steps = (depth + DEPTH - 1) / DEPTH;
#pragma unroll
        for (int step = 0; step < STAGES - 1; step++) {
            if (step < steps) {
                bring(step);
            }
            commitCopies();
        }
        float sums[TILES][ROW_TILES][4] = {};
        for (int step = 0; step < steps; step++) {
            awaitCopies<STAGES - 2>();
            __syncthreads();
            if (step + STAGES - 1 < steps) {
                bring(step + STAGES - 1);
            }
            commitCopies();
            if (tiles[0] >= 0) {
                add(step, sums);
            }
        }
#pragma unroll
        for (int i = 0; i < 2 * ROW_TILES; i++) {
            int row = i * 8 + lane / 4;
            if (row >= rows) {
                continue;
            }
            int pair = members[row];
#pragma unroll
            for (int t = 0; t < Side::STORED_TILES; t++) {
                if (tiles[t] >= 0) {
                    side.finish(expert, pair, side.tile(firstTile, t) * TILE_ROWS + lane % 4 * 2, i / 2, i % 2 * 2, t,
                                sums);
                }
            }
        }
    }
};

// Gates, and the values that they gate: PAIRED tiles of each.
template <typename T, int PAIRED>
struct QuantisedExpertIn {
    static constexpr int TILES = 2 * PAIRED;
    static constexpr int STORED_TILES = PAIRED;
    // Tiles of gates that a warp takes.
    static constexpr int ADVANCE = PAIRED;
    const uint4* codes;
    const uint32_t* scales;
    ExpertIn<T> values;

    __device__ __forceinline__ int depth() const { return values.width; }
    __device__ __forceinline__ int tiles() const { return 2 * values.innerWidth / TILE_ROWS; }
    __device__ __forceinline__ const T* row(int pair) const { return values.row(pair); }

    // Tile t of the warp whose gates begin with `first`; below 0 if there is none.
    __device__ __forceinline__ int tile(int first, int t) const {
        int gates = values.innerWidth / TILE_ROWS;
        int tile = first + t % PAIRED;
        return tile >= gates ? -1 : t < PAIRED ? tile : gates + tile;
    }

    template <typename Sums>
    __device__ __forceinline__ void finish(int expert, int pair, int gate, int i, int x, int t,
                                           const Sums& sums) const {
#pragma unroll
        for (int j = 0; j < 2; j++) {
            values.finish(expert, pair, 2 * (gate + j), sums[t][i][x + j], sums[t + PAIRED][i][x + j]);
        }
    }
};

template <typename T, int ALL>
struct QuantisedExpertOut {
    static constexpr int TILES = ALL;
    static constexpr int STORED_TILES = ALL;
    static constexpr int ADVANCE = ALL;
    const uint4* codes;
    const uint32_t* scales;
    ExpertOut<T> values;

    __device__ __forceinline__ int depth() const { return values.innerWidth; }
    __device__ __forceinline__ int tiles() const { return values.width / TILE_ROWS; }
    __device__ __forceinline__ const T* row(int pair) const { return values.row(pair); }
    __device__ __forceinline__ int tile(int first, int t) const { return first + t < tiles() ? first + t : -1; }

    template <typename Sums>
    __device__ __forceinline__ void finish(int expert, int pair, int column, int i, int x, int t,
                                           const Sums& sums) const {
        values.finish(expert, pair, column, sums[t][i][x], sums[t][i][x + 1]);
    }
};

template <typename T, typename Codes, int WARPS, int ROW_TILES, int DEPTH, int STAGES, typename Side>
__device__ __forceinline__ void quantisedExpertProduct(const Side& side, const Pairs& pairs, int groupShift) {
    extern __shared__ __align__(16) unsigned char expertStages[];
    using P = QuantisedExpertProduct<T, Codes, Side, WARPS, ROW_TILES, DEPTH, STAGES>;
    __shared__ int members[P::ROWS];
    beginKernel();
    int expert = 0;
    int rows = pairs.find<P::ROWS>(expert, members);
    if (rows == 0) {
        return;
    }
    uint32_t base = static_cast<uint32_t>(__cvta_generic_to_shared(expertStages));
    int warp = threadIdx.x / 32;
    int firstTile = (static_cast<int>(blockIdx.y) * WARPS + warp) * Side::ADVANCE;
    P product{side, rows, side.depth(), groupShift, base + P::WARP_BYTES * WARPS, base + P::WARP_BYTES * warp,
              {},   {}};
    product.find(expert, firstTile, members);
    product.run(expert, firstTile, members);
}

}  // namespace weft

// The numbers are also those of ExpertKernels.java: rows of a tile, warps, sixteens of rows, tiles of gates and of
// values, tiles of the way back, depth, stages, blocks that fit a multiprocessor.
#define QUANTISED_EXPERT_KERNELS_OF_SIZE(CODE, Codes, NAME, T, SIZE, WARPS, ROW_TILES, PAIRED, OUT_TILES, DEPTH,      \
                                         STAGES, BLOCKS)                                                              \
    extern "C" __global__ void __launch_bounds__(32 * WARPS, BLOCKS)                                                  \
        quantised_experts_in_##SIZE##_##CODE##_##NAME(                                                                \
            const T* in, const uint4* codes, const uint32_t* scales, const T* bias, T* inner, const int* ids,         \
            int pairs, int experts, const int* order, const int4* tiles, const int* tileCount, int chosen, int width, \
            int innerWidth, int groupShift, int gating, float limit, float alpha) {                                   \
        quantisedExpertProduct<T, Codes, WARPS, ROW_TILES, DEPTH, STAGES>(                                            \
            QuantisedExpertIn<T, PAIRED>{                                                                             \
                codes, scales, {in, nullptr, bias, inner, chosen, width, innerWidth, {gating, limit, alpha}}},        \
            Pairs{ids, pairs, experts, order, tiles, tileCount}, groupShift);                                         \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(32 * WARPS, BLOCKS)                                                  \
        quantised_experts_out_##SIZE##_##CODE##_##NAME(                                                               \
            const T* inner, const uint4* codes, const uint32_t* scales, const T* bias, float* partial,                \
            const int* ids, int pairs, int experts, const int* order, const int4* tiles, const int* tileCount,        \
            int width, int innerWidth, int groupShift) {                                                              \
        quantisedExpertProduct<T, Codes, WARPS, ROW_TILES, DEPTH, STAGES>(                                            \
            QuantisedExpertOut<T, OUT_TILES>{codes, scales, {inner, nullptr, bias, partial, width, innerWidth}},      \
            Pairs{ids, pairs, experts, order, tiles, tileCount}, groupShift);                                         \
    }

#define QUANTISED_EXPERT_KERNELS_OF_4_BITS(CODE, Codes, NAME, T)                                                      \
    QUANTISED_EXPERT_KERNELS_OF_SIZE(CODE, Codes, NAME, T, 16, 4, 1, 1, 1, 256, 4, 3)                                 \
    QUANTISED_EXPERT_KERNELS_OF_SIZE(CODE, Codes, NAME, T, 64, 8, 4, 2, 4, 128, 3, 2)

#define QUANTISED_EXPERT_KERNELS_OF_8_BITS(CODE, Codes, NAME, T)                                                      \
    QUANTISED_EXPERT_KERNELS_OF_SIZE(CODE, Codes, NAME, T, 16, 4, 1, 1, 1, 128, 4, 4)                                 \
    QUANTISED_EXPERT_KERNELS_OF_SIZE(CODE, Codes, NAME, T, 64, 8, 4, 2, 4, 64, 3, 2)

#define QUANTISED_EXPERT_KERNELS(NAME, T)                      \
    QUANTISED_EXPERT_KERNELS_OF_8_BITS(fp8, Fp8, NAME, T)      \
    QUANTISED_EXPERT_KERNELS_OF_8_BITS(int8, Int8, NAME, T)    \
    QUANTISED_EXPERT_KERNELS_OF_4_BITS(int4, Int4, NAME, T)    \
    QUANTISED_EXPERT_KERNELS_OF_4_BITS(int4_own, Int4Own, NAME, T) \
    QUANTISED_EXPERT_KERNELS_OF_4_BITS(fp4, Fp4, NAME, T)

FOR_ELEMENT_TYPES(QUANTISED_EXPERT_KERNELS)
