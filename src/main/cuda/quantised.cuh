// Matrix products of up to 64 rows with quantised weights, which are read once, as they are stored: codes.cuh says how
// they lie. A warp takes eight columns, keeps one accumulator an output element, and adds sixteen products at a time
// from k = 0 upwards, as the products of product.cuh and of the library do. So a row has the same bits as with weights
// that were made elements of 16 bits first, which `unpack` does for many rows.
//
// The lanes of a warp copy their own codes to shared memory, several stages ahead, and only they read them there. The
// threads of a block share the input's rows.
//
// Grid: (tiles / warps rounded up), so many warps that each has a tile, or two of matrices that are gated: tile j of
// the gates and of the values that they gate; if two warps take turns with a tile, (tiles / (warps / 2) rounded up). N
// and K are multiples of 8, addresses of 16 bytes, groups at least 32 k long.
#pragma once

#include "codes.cuh"
#include "product.cuh"

namespace weft {

// A quantised matrix in memory.
struct Quantised {
    const uint4* codes;
    const uint32_t* scales;
};

// An accumulator waits for 25 cycles between two multiplications, and few warps fit a multiprocessor if W has few rows.
// So a warp is busy in three places at once: it multiplies a piece of 32 k, makes elements of the next, and has the one
// after that on the way from shared memory, also from one stage to the next. Little code matters as much: between two
// layers it leaves the caches of instructions, and a warp waits for each line of it.
template <typename T, typename Codes, int TILES, int ROW_TILES, int DEPTH, int STAGES>
struct QuantisedProduct {
    using Layout = CodeLayout<Codes>;
    static constexpr int UNITS = DEPTH / Layout::UNIT_K;
    static constexpr int GROUP_LEAST = 32;
    static constexpr int GROUP_BYTES = 4 * TILE_ROWS;
    static constexpr int CODE_BYTES = UNITS * UNIT_BYTES;
    static constexpr int TILE_BYTES = CODE_BYTES + DEPTH / GROUP_LEAST * GROUP_BYTES;
    static constexpr int WARP_BYTES = STAGES * TILES * TILE_BYTES;
    // A row's pitch is an odd number of 16-byte units, so that ldmatrix meets no bank twice.
    static constexpr int PITCH = DEPTH + VECTOR;
    static constexpr int IN_UNITS = DEPTH / VECTOR;
    static constexpr int PIECE_K = 32;
    static constexpr int PIECES = DEPTH / PIECE_K;
    static constexpr int UNIT_PIECES = Layout::UNIT_K / PIECE_K;
    static constexpr int PIECE_WORDS = PIECE_K / Layout::WORD_K;
    // Pieces on the way from shared memory, or becoming elements.
    static constexpr int AHEAD = 2;
    // Rows of the input that come ahead with a piece: there is no room for more, and more are work enough for a warp.
    static constexpr bool IN_AHEAD = ROW_TILES == 1;
    static constexpr int WHOLE_ROWS_MOST = 4;
    // The memory for the input's rows in all stages.
    static constexpr int IN_BYTES = STAGES * 16 * ROW_TILES * PITCH * 2;
    static_assert(UNITS * Layout::UNIT_K == DEPTH, "a stage has whole units");
    static_assert(2 * DEPTH / GROUP_LEAST <= 32, "a lane copies half of a group's scales");
    static_assert(PIECES > AHEAD && STAGES > 2, "a stage is complete before the one before it ends");

    const T* in;
    int rows;
    int depth;
    int groupShift;
    int units;
    int groups;
    uint32_t inAt;
    // From a row of the input to the next, and from a stage or step of it to the next, in bytes.
    uint32_t inPitch;
    uint32_t inStride;
    // Whether all of the input lies in the memory of its stages. Then warps need not wait for each other.
    bool whole;
    uint32_t warpAt;
    // Of this warp's tiles; null for those that do not exist, whose sums are not stored.
    Quantised tiles[TILES];

    // What a piece needs from shared memory.
    struct Piece {
        uint32_t words[TILES][PIECE_WORDS];
        uint32_t scales[TILES];
        uint32_t in[2][4];
    };

    // The elements of a piece, for two multiplications.
    struct Elements {
        uint32_t weights[TILES][4];
        uint32_t in[2][4];
    };

    __device__ __forceinline__ void bringCodes(int step, int stage) const {
        int lane = threadIdx.x % 32;
        int firstGroup = (step * DEPTH) >> groupShift;
        int stageGroups = max(1, DEPTH >> groupShift);
        int group = firstGroup + lane / 2;
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            if (tiles[t].codes == nullptr) {
                continue;
            }
            uint32_t to = warpAt + (stage * TILES + t) * TILE_BYTES + 16 * lane;
            const uint4* codes = tiles[t].codes + step * UNITS * 32 + lane;
#pragma unroll
            for (int u = 0; u < UNITS; u++) {
                copyAsync(to + u * UNIT_BYTES, codes + u * 32, step * UNITS + u < units);
            }
            if (lane < 2 * stageGroups) {
                copyAsync(to + CODE_BYTES, tiles[t].scales + group * TILE_ROWS + lane % 2 * 4, group < groups);
            }
        }
    }

    // Decides where the input goes.
    __device__ __forceinline__ void placeIn() {
        int steps = (depth + DEPTH - 1) / DEPTH;
        inPitch = pitchOf(steps * DEPTH);
        // A warp requests pieces past the end, which it does not use. Many rows would arrive too late.
        whole = IN_AHEAD && rows <= WHOLE_ROWS_MOST && rows * inPitch + AHEAD * PIECE_K * 2 <= IN_BYTES;
        if (whole) {
            inStride = 2 * DEPTH;
        } else {
            inPitch = 2 * PITCH;
            inStride = rows * inPitch;
        }
    }

    // Bytes of a row of the input: an odd number of 16-byte units, so that ldmatrix meets no bank twice.
    static __device__ __forceinline__ uint32_t pitchOf(int elements) { return (elements / VECTOR | 1) * VECTOR * 2; }

    // Copies a step's part of the input's rows, with zeros after the end.
    __device__ __forceinline__ void bringIn(int step, int stage) const {
#pragma unroll 1
        for (int i = threadIdx.x; i < rows * IN_UNITS; i += blockDim.x) {
            bringUnit(i / IN_UNITS, step * DEPTH, i % IN_UNITS, inAt + stage * inStride);
        }
    }

    // Copies all of the input's rows, with zeros after the end.
    __device__ __forceinline__ void bringWhole() const {
        int units = (depth + DEPTH - 1) / DEPTH * IN_UNITS;
#pragma unroll 1
        for (int row = 0; row < rows; row++) {
#pragma unroll 1
            for (int unit = threadIdx.x; unit < units; unit += blockDim.x) {
                bringUnit(row, 0, unit, inAt);
            }
        }
    }

    __device__ __forceinline__ void bringUnit(int row, int firstK, int unit, uint32_t to) const {
        int k = firstK + unit * VECTOR;
        copyAsync(to + row * inPitch + 16 * unit, in + static_cast<size_t>(row) * depth + k, k < depth);
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

    // Requests sixteen rows of the input, half a piece of them, of a stage or step at `stageIn`. Rows that do not exist
    // are the last one again: nobody reads their sums.
    __device__ __forceinline__ void loadIn(uint32_t (&values)[4], int tile, int piece, int half,
                                           uint32_t stageIn) const {
        int lane = threadIdx.x % 32;
        int row = min(tile * 16 + lane % 16, rows - 1);
        loadMatrices(values, stageIn + row * inPitch + lane / 16 * 16 + 2 * (PIECE_K * piece + 16 * half));
    }

    // Requests a piece of a stage, with its part of the input or without; `unit` has the unit that it is part of, from
    // the unit's first piece on.
    template <bool WITH_IN>
    __device__ __forceinline__ Piece load(int p, int stage, uint32_t stageIn, uint4 (&unit)[TILES]) const {
        int lane = threadIdx.x % 32;
        Piece piece;
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            uint32_t at = warpAt + (stage * TILES + t) * TILE_BYTES;
            if (p % UNIT_PIECES == 0) {
                unit[t] = loadWords(at + p / UNIT_PIECES * UNIT_BYTES + 16 * lane);
            }
            const uint32_t words[4] = {unit[t].x, unit[t].y, unit[t].z, unit[t].w};
#pragma unroll
            for (int w = 0; w < PIECE_WORDS; w++) {
                piece.words[t][w] = words[p % UNIT_PIECES * PIECE_WORDS + w];
            }
            piece.scales[t] = loadWord(at + CODE_BYTES + GROUP_BYTES * ((p * PIECE_K) >> groupShift) + 4 * (lane / 4));
        }
#pragma unroll
        for (int half = 0; WITH_IN && half < 2; half++) {
            loadIn(piece.in[half], 0, p, half, stageIn);
        }
        return piece;
    }

    static __device__ __forceinline__ Elements expand(const Piece& piece) {
        Elements elements;
#pragma unroll
        for (int t = 0; t < TILES; t++) {
#pragma unroll
            for (int w = 0; w < PIECE_WORDS; w++) {
                uint32_t pairs[Layout::PAIRS];
                Codes::template expand<T>(piece.words[t][w], piece.scales[t], pairs);
#pragma unroll
                for (int i = 0; i < Layout::PAIRS; i++) {
                    elements.weights[t][w * Layout::PAIRS + i] = pairs[i];
                }
            }
        }
#pragma unroll
        for (int x = 0; IN_AHEAD && x < 8; x++) {
            elements.in[x / 4][x % 4] = piece.in[x / 4][x % 4];
        }
        return elements;
    }

    // Adds the products of piece p of a stage.
    __device__ __forceinline__ void add(const Elements& elements, int p, uint32_t stageIn,
                                        float (&sums)[TILES][ROW_TILES][4]) const {
#pragma unroll
        for (int half = 0; half < 2; half++) {
#pragma unroll
            for (int i = 0; i < ROW_TILES; i++) {
                if (i > 0 && i * 16 >= rows) {
                    continue;
                }
                uint32_t values[4];
#pragma unroll
                for (int x = 0; IN_AHEAD && x < 4; x++) {
                    values[x] = elements.in[half][x];
                }
                if (!IN_AHEAD) {
                    loadIn(values, i, p, half, stageIn);
                }
#pragma unroll
                for (int t = 0; t < TILES; t++) {
                    multiply(sums[t][i], values, elements.weights[t][2 * half], elements.weights[t][2 * half + 1],
                             static_cast<T*>(nullptr));
                }
            }
        }
    }

    // `beforeSums` runs while the first copies are on their way.
    template <typename Before>
    __device__ __forceinline__ void run(float (&sums)[TILES][ROW_TILES][4], Before beforeSums) const {
        int steps = (depth + DEPTH - 1) / DEPTH;
        // The weights exist before any kernel runs, so the first of them are fetched while the preceding kernel still
        // runs.
#pragma unroll 1
        for (int s = 0; s < min(STAGES - 1, steps); s++) {
            bringCodes(s, s);
        }
        awaitEarlierKernels();
        if (whole) {
            bringWhole();
        }
#pragma unroll 1
        for (int s = 0; s < STAGES - 1; s++) {
            if (!whole && s < steps) {
                bringIn(s, s);
            }
            commitCopies();
        }
        beforeSums();
        awaitCopies<STAGES - 2>();
        __syncthreads();
        uint4 unit[TILES];
        Elements now = expand(load<IN_AHEAD>(0, 0, inAt, unit));
        Piece next = load<IN_AHEAD>(1, 0, inAt, unit);
        int stage = 0;
        uint32_t stageIn = inAt;
#pragma unroll 1
        for (int step = 0; step < steps; step++) {
            int nextStage = stage == STAGES - 1 ? 0 : stage + 1;
            uint32_t nextIn = inAt + (whole ? step + 1 : nextStage) * inStride;
#pragma unroll
            for (int p = 0; p < PIECES; p++) {
                if (p == PIECES - AHEAD) {
                    // The next stage has arrived, and all that share it have left the one before.
                    awaitCopies<STAGES - 3>();
                    if (whole) {
                        __syncwarp();
                    } else {
                        __syncthreads();
                    }
                    int coming = step + STAGES - 1;
                    if (coming < steps) {
                        int free = stage == 0 ? STAGES - 1 : stage - 1;
                        bringCodes(coming, free);
                        if (!whole) {
                            bringIn(coming, free);
                        }
                    }
                    commitCopies();
                }
                Piece after = p + AHEAD < PIECES
                                  ? load<IN_AHEAD>(p + AHEAD, stage, stageIn, unit)
                                  : load<IN_AHEAD>(p + AHEAD - PIECES, nextStage, nextIn, unit);
                add(now, p, stageIn, sums);
                now = expand(next);
                next = after;
            }
            stageIn = nextIn;
            stage = nextStage;
        }
    }
};

// The same for few columns: two warps take turns with a tile, DEPTH k at a time. One makes elements of its next turn in
// registers while the other multiplies, and they hand the sums over in shared memory. So the chain of multiplications
// waits for little else. The input lies in shared memory as a whole, and its warps need not wait for each other.
template <typename T, typename Codes, int DEPTH, int STAGES>
struct TurnsProduct {
    using P = QuantisedProduct<T, Codes, 1, 1, DEPTH, STAGES>;
    static constexpr int TURNS = 2;
    static constexpr int SLICES = DEPTH / 16;
    static constexpr int SLICES_AHEAD = 4;

    // Waits until the warps of barrier `id` have arrived, or arrives.
    static __device__ __forceinline__ void awaitTurn(int id) {
        asm volatile("bar.sync %0, 64;" ::"r"(id) : "memory");
    }
    static __device__ __forceinline__ void endTurn(int id) {
        asm volatile("bar.arrive %0, 64;" ::"r"(id) : "memory");
    }

    // True in the warp that has the sums.
    template <typename Before>
    static __device__ __forceinline__ bool run(const P& product, uint32_t exchangeAt, int slot, int turn,
                                               float (&sums)[1][1][4], Before beforeSums) {
        int lane = threadIdx.x % 32;
        int depth = product.depth;
        int steps = (depth + DEPTH - 1) / DEPTH;
        int rounds = (steps - turn + TURNS - 1) / TURNS;
#pragma unroll 1
        for (int round = 0; round < STAGES - 1; round++) {
            if (round < rounds) {
                product.bringCodes(TURNS * round + turn, round);
            }
            commitCopies();
        }
        awaitEarlierKernels();
        product.bringWhole();
        commitCopies();
        beforeSums();
        awaitCopies<0>();
        __syncthreads();
        int stage = 0;
#pragma unroll 1
        for (int round = 0; round < rounds; round++) {
            int step = TURNS * round + turn;
            uint32_t stageIn = product.inAt + 2 * step * DEPTH;
            awaitCopies<STAGES - 2>();
            __syncwarp();
            uint32_t weights[SLICES][2];
            uint4 unit[1];
#pragma unroll
            for (int p = 0; p < P::PIECES; p++) {
                typename P::Elements elements = P::expand(product.template load<false>(p, stage, stageIn, unit));
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    weights[2 * p + i / 2][i % 2] = elements.weights[0][i];
                }
            }
            __syncwarp();
            if (round + STAGES - 1 < rounds) {
                product.bringCodes(step + TURNS * (STAGES - 1), stage == 0 ? STAGES - 1 : stage - 1);
            }
            commitCopies();
            stage = stage == STAGES - 1 ? 0 : stage + 1;
            uint32_t in[SLICES][4];
#pragma unroll
            for (int s = 0; s < SLICES_AHEAD; s++) {
                product.loadIn(in[s], 0, s / 2, s % 2, stageIn);
            }
            if (step > 0) {
                awaitTurn(1 + TURNS * slot + turn);
                uint4 words = P::loadWords(exchangeAt + 512 * slot + 16 * lane);
                sums[0][0][0] = __uint_as_float(words.x);
                sums[0][0][1] = __uint_as_float(words.y);
                sums[0][0][2] = __uint_as_float(words.z);
                sums[0][0][3] = __uint_as_float(words.w);
            }
#pragma unroll
            for (int s = 0; s < SLICES; s++) {
                if (s + SLICES_AHEAD < SLICES) {
                    product.loadIn(in[s + SLICES_AHEAD], 0, (s + SLICES_AHEAD) / 2, s % 2, stageIn);
                }
                multiply(sums[0][0], in[s], weights[s][0], weights[s][1], static_cast<T*>(nullptr));
            }
            if (step + 1 < steps) {
                asm volatile("st.shared.v4.f32 [%0], {%1,%2,%3,%4};" ::"r"(exchangeAt + 512 * slot + 16 * lane),
                             "f"(sums[0][0][0]), "f"(sums[0][0][1]), "f"(sums[0][0][2]), "f"(sums[0][0][3])
                             : "memory");
                endTurn(1 + TURNS * slot + (turn ^ 1));
            }
        }
        return (steps - 1) % TURNS == turn;
    }
};

// A warp's part of a matrix: its tile's codes and scales.
template <typename Codes>
__device__ __forceinline__ Quantised tileOf(const Quantised& matrix, int tile, int depth, int groupShift) {
    using Layout = CodeLayout<Codes>;
    return {matrix.codes + static_cast<size_t>(tile) * Layout::units(depth) * 32,
            matrix.scales + static_cast<size_t>(tile) * Layout::groups(depth, groupShift) * TILE_ROWS};
}

template <typename P, typename T>
__device__ __forceinline__ P quantisedProduct(const T* in, int rows, int depth, int groupShift) {
    extern __shared__ __align__(16) unsigned char quantisedStages[];
    uint32_t base = static_cast<uint32_t>(__cvta_generic_to_shared(quantisedStages));
    P product{};
    product.in = in;
    product.rows = rows;
    product.depth = depth;
    product.groupShift = groupShift;
    product.units = P::Layout::units(depth);
    product.groups = P::Layout::groups(depth, groupShift);
    product.inAt = base + P::WARP_BYTES * (blockDim.x / 32);
    product.warpAt = base + P::WARP_BYTES * (threadIdx.x / 32);
    product.placeIn();
    return product;
}

// Of one matrix, or of two with the same input.
template <typename T, typename Codes, int ROW_TILES, int DEPTH, int STAGES>
__device__ __forceinline__ void quantised(const T* in, const Quantised& first, const Quantised& second,
                                          const TwoMatrices<T>& columns, int rows, int depth, int groupShift) {
    using P = QuantisedProduct<T, Codes, 1, ROW_TILES, DEPTH, STAGES>;
    int lane = threadIdx.x % 32;
    int tile = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    int firstTiles = columns.first.columns / TILE_ROWS;
    bool exists = tile < columns.count() / TILE_ROWS;
    letNextKernelStart();
    P product = quantisedProduct<P>(in, rows, depth, groupShift);
    if (exists) {
        product.tiles[0] = tile < firstTiles ? tileOf<Codes>(first, tile, depth, groupShift)
                                             : tileOf<Codes>(second, tile - firstTiles, depth, groupShift);
    }
    int column = tile * TILE_ROWS + lane % 4 * 2;
    float sums[1][ROW_TILES][4] = {};
    // Requested early, the values to which the sums are added arrive before the sums are done.
    float before[ROW_TILES][2][2];
    product.run(sums, [&]() {
#pragma unroll
        for (int i = 0; i < 2 * ROW_TILES; i++) {
            int row = i * 8 + lane / 4;
#pragma unroll
            for (int x = 0; x < 2; x++) {
                before[i / 2][i % 2][x] = exists && row < rows ? columns.before(row, column + x) : 0.0f;
            }
        }
    });
#pragma unroll
    for (int i = 0; i < 2 * ROW_TILES; i++) {
        int row = i * 8 + lane / 4;
        if (exists && row < rows) {
            const float both[2] = {sums[0][i / 2][i % 2 * 2], sums[0][i / 2][i % 2 * 2 + 1]};
            columns.finish(row, column, both, before[i / 2][i % 2]);
        }
    }
}

// Of one matrix, or of two with the same input, with two warps a tile.
template <typename T, typename Codes, int DEPTH, int STAGES>
__device__ __forceinline__ void quantisedTurns(const T* in, const Quantised& first, const Quantised& second,
                                               const TwoMatrices<T>& columns, int rows, int depth, int groupShift) {
    using Turns = TurnsProduct<T, Codes, DEPTH, STAGES>;
    using P = typename Turns::P;
    int lane = threadIdx.x % 32;
    int slots = blockDim.x / 32 / Turns::TURNS;
    int slot = threadIdx.x / 32 % slots;
    int tile = blockIdx.x * slots + slot;
    int firstTiles = columns.first.columns / TILE_ROWS;
    bool exists = tile < columns.count() / TILE_ROWS;
    letNextKernelStart();
    P product = quantisedProduct<P>(in, rows, depth, groupShift);
    // The sums on their way between the warps, then the input.
    uint32_t exchangeAt = product.inAt;
    product.inAt += 512 * slots;
    product.inPitch = P::pitchOf((depth + DEPTH - 1) / DEPTH * DEPTH);
    if (exists) {
        product.tiles[0] = tile < firstTiles ? tileOf<Codes>(first, tile, depth, groupShift)
                                             : tileOf<Codes>(second, tile - firstTiles, depth, groupShift);
    }
    int column = tile * TILE_ROWS + lane % 4 * 2;
    float sums[1][1][4] = {};
    float before[2][2];
    bool done = Turns::run(product, exchangeAt, slot, threadIdx.x / 32 / slots, sums, [&]() {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int row = i / 2 * 8 + lane / 4;
            before[i / 2][i % 2] = exists && row < rows ? columns.before(row, column + i % 2) : 0.0f;
        }
    });
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int row = i * 8 + lane / 4;
        if (done && exists && row < rows) {
            const float both[2] = {sums[0][0][2 * i], sums[0][0][2 * i + 1]};
            columns.finish(row, column, both, before[i]);
        }
    }
}

// Of gates and the values that they gate.
template <typename T, typename Codes, int DEPTH, int STAGES>
__device__ __forceinline__ void quantisedGated(const T* in, const Quantised& matrix, const GatedMatrix<T>& columns,
                                               int rows, int depth, int groupShift) {
    using P = QuantisedProduct<T, Codes, 2, 1, DEPTH, STAGES>;
    int lane = threadIdx.x % 32;
    int tile = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    int gateTiles = columns.count() / 2 / TILE_ROWS;
    bool exists = tile < gateTiles;
    letNextKernelStart();
    P product = quantisedProduct<P>(in, rows, depth, groupShift);
    if (exists) {
        product.tiles[0] = tileOf<Codes>(matrix, tile, depth, groupShift);
        product.tiles[1] = tileOf<Codes>(matrix, gateTiles + tile, depth, groupShift);
    }
    float sums[2][1][4] = {};
    product.run(sums, []() {});
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int row = i / 2 * 8 + lane / 4;
        if (exists && row < rows) {
            int j = tile * TILE_ROWS + lane % 4 * 2 + i % 2;
            const float both[2] = {sums[0][0][i], sums[1][0][i]};
            const float none[2] = {};
            columns.finish(row, 2 * j, both, none);
        }
    }
}

// out (N, K) = the elements of a quantised matrix. A warp makes a tile's unit at a time, in shared memory first, so
// that it writes whole lines.
template <typename T, typename Codes>
__device__ __forceinline__ void unpack(const Quantised& matrix, T* out, int columns, int depth, int groupShift) {
    using Layout = CodeLayout<Codes>;
    constexpr int WARPS = 8;
    constexpr int PITCH = Layout::UNIT_K + VECTOR;
    __shared__ __align__(16) T made[WARPS][TILE_ROWS * PITCH];
    int lane = threadIdx.x % 32;
    T* mine = made[threadIdx.x / 32];
    int units = Layout::units(depth);
    int groups = Layout::groups(depth, groupShift);
    int column = lane / 4;
    long long count = static_cast<long long>((columns + TILE_ROWS - 1) / TILE_ROWS) * units;
    bool vectors = depth % VECTOR == 0;
    long long step = static_cast<long long>(gridDim.x) * WARPS;
    for (long long i = blockIdx.x * WARPS + threadIdx.x / 32; i < count; i += step) {
        int tile = static_cast<int>(i / units);
        int firstK = static_cast<int>(i % units) * Layout::UNIT_K;
        uint4 four = matrix.codes[i * 32 + lane];
        const uint32_t words[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (int w = 0; w < 4; w++) {
            int k = w * Layout::WORD_K;
            int group = (firstK + k) >> groupShift;
            uint32_t scale = group < groups
                                 ? matrix.scales[(static_cast<size_t>(tile) * groups + group) * TILE_ROWS + column]
                                 : 0;
            uint32_t pairs[Layout::PAIRS];
            Codes::template expand<T>(words[w], scale, pairs);
#pragma unroll
            for (int p = 0; p < Layout::PAIRS; p++) {
                int at = column * PITCH + k + 8 * p + lane % 4 * 2;
                *reinterpret_cast<uint32_t*>(mine + at) = pairs[p];
            }
        }
        __syncwarp();
        for (int v = lane; v < TILE_ROWS * Layout::UNIT_K / VECTOR; v += 32) {
            int row = v / (Layout::UNIT_K / VECTOR);
            int k = v % (Layout::UNIT_K / VECTOR) * VECTOR;
            int n = tile * TILE_ROWS + row;
            const T* from = mine + row * PITCH + k;
            T* to = out + static_cast<size_t>(n) * depth + firstK + k;
            if (n >= columns || firstK + k >= depth) {
                continue;
            }
            if (vectors) {
                *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
            } else {
                for (int j = 0; j < VECTOR && firstK + k + j < depth; j++) {
                    to[j] = from[j];
                }
            }
        }
        __syncwarp();
    }
}

// Codes row by row, as files have them, to the places where products read them.
//
// @param codes (rows, rowBytes); null for random codes by seed + element
// @param firstRow row of the matrix that the first of them is
template <typename Codes>
__device__ __forceinline__ void packCodes(const unsigned char* codes, long long rowBytes, long long seed, int fp8,
                                          uint32_t* out, int firstRow, int rows, int depth) {
    using Layout = CodeLayout<Codes>;
    constexpr int CODES = 32 / Codes::BITS;
    constexpr uint32_t MASK = (1u << Codes::BITS) - 1;
    int units = Layout::units(depth);
    int rowWords = units * 16;
    long long count = static_cast<long long>(rows) * rowWords;
    for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < count;
         i += static_cast<long long>(gridDim.x) * blockDim.x) {
        int row = static_cast<int>(i / rowWords);
        int place = static_cast<int>(i % rowWords);
        int unit = place / 16;
        int q = place % 16 / 4;
        int w = place % 4;
        uint32_t word = 0;
#pragma unroll
        for (int c = 0; c < CODES; c++) {
            int inWord = Codes::BITS == 8 ? 2 * q + c % 2 + c / 2 * 8
                                          : 16 * (c % 4 / 2) + 2 * q + 8 * (c % 2) + c / 4;
            int k = unit * Layout::UNIT_K + w * Layout::WORD_K + inWord;
            if (k >= depth) {
                continue;
            }
            uint32_t code;
            if (codes == nullptr) {
                unsigned long long bits = mix(seed + (firstRow + row) * static_cast<long long>(depth) + k);
                code = static_cast<uint32_t>(bits >> (64 - Codes::BITS));
                if (fp8 && (code & 0x7f) == 0x7f) {
                    code--;
                }
            } else if (Codes::BITS == 8) {
                code = codes[row * rowBytes + k];
            } else {
                code = codes[row * rowBytes + k / 2] >> (k % 2 * 4);
            }
            word |= (code & MASK) << (Codes::BITS * c);
        }
        int n = firstRow + row;
        size_t lane = (static_cast<size_t>(n / TILE_ROWS) * units + unit) * 32 + n % TILE_ROWS * 4 + q;
        out[lane * 4 + w] = word;
    }
}

// The types of scales, as in QuantisedMemory.java.
enum ScaleType { SCALE_F32 = 0, SCALE_F16 = 1, SCALE_BF16 = 2 };

// Scales (rows, groups) fp32 to words that have one zero for all; or, without scales, zeros (rows, groups) to those
// words.
__device__ __forceinline__ void packScales(const float* scales, const unsigned char* zeros, int zero, int type,
                                           uint32_t* out, int firstRow, int rows, int groups) {
    long long count = static_cast<long long>(rows) * groups;
    for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < count;
         i += static_cast<long long>(gridDim.x) * blockDim.x) {
        int n = firstRow + static_cast<int>(i / groups);
        int group = static_cast<int>(i % groups);
        uint32_t* to = out + (static_cast<size_t>(n / TILE_ROWS) * groups + group) * TILE_ROWS + n % TILE_ROWS;
        if (scales == nullptr) {
            reinterpret_cast<unsigned char*>(to)[2] = zeros[i];
            continue;
        }
        float scale = scales[i];
        uint32_t word = __float_as_uint(scale);
        if (type != SCALE_F32) {
            uint32_t bits = type == SCALE_BF16 ? word >> 16 : __half_as_ushort(__float2half_rn(scale));
            word = bits | static_cast<uint32_t>(zero) << 16 | (type == SCALE_BF16 ? 1u << 24 : 0);
        }
        *to = word;
    }
}

}  // namespace weft

#define QUANTISED_PARAMETERS(T)                                                                                       \
    const T *in, const uint4 *codes, const uint32_t *scales, const T *bias, T *out, int columns,                      \
        const uint4 *otherCodes, const uint32_t *otherScales, const T *otherBias, T *otherOut, int otherColumns,      \
        int rows, int depth, int groupShift, int epilogue

#define QUANTISED_MATRICES(T)                                                                                         \
    TwoMatrices<T> {                                                                                                  \
        {nullptr, bias, out, columns}, {nullptr, otherBias, otherOut, otherColumns}, epilogue                         \
    }

// The numbers are also those of QuantisedKernels.java.
#define QUANTISED_KERNELS(CODE, Codes, NAME, T, DEPTH, STAGES, GATED_DEPTH, GATED_STAGES)                             \
    extern "C" __global__ void __launch_bounds__(512, 1) quantised_##CODE##_##NAME(QUANTISED_PARAMETERS(T)) {         \
        quantised<T, Codes, 1, DEPTH, STAGES>(in, {codes, scales}, {otherCodes, otherScales}, QUANTISED_MATRICES(T),  \
                                              rows, depth, groupShift);                                               \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(512, 1) quantised_turns_##CODE##_##NAME(QUANTISED_PARAMETERS(T)) {   \
        quantisedTurns<T, Codes, 256, 6>(in, {codes, scales}, {otherCodes, otherScales}, QUANTISED_MATRICES(T), rows, \
                                         depth, groupShift);                                                          \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(512, 1) quantised_64_##CODE##_##NAME(QUANTISED_PARAMETERS(T)) {      \
        quantised<T, Codes, 4, 128, 5>(in, {codes, scales}, {otherCodes, otherScales}, QUANTISED_MATRICES(T), rows,   \
                                       depth, groupShift);                                                            \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(512, 1)                                                              \
        quantised_gated_##CODE##_##NAME(const T* in, const uint4* codes, const uint32_t* scales, const T* bias,       \
                                        T* out, int columns, int rows, int depth, int groupShift, int activation) {   \
        quantisedGated<T, Codes, GATED_DEPTH, GATED_STAGES>(                                                          \
            in, {codes, scales}, GatedMatrix<T>{{nullptr, bias, out, columns}, activation}, rows, depth, groupShift); \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        unpack_##CODE##_##NAME(const uint4* codes, const uint32_t* scales, T* out, int columns, int depth,            \
                               int groupShift) {                                                                      \
        beginKernel();                                                                                                \
        unpack<T, Codes>({codes, scales}, out, columns, depth, groupShift);                                           \
    }

#define QUANTISED_KERNELS_OF(NAME, T)                       \
    QUANTISED_KERNELS(fp8, Fp8, NAME, T, 256, 6, 128, 6)    \
    QUANTISED_KERNELS(int8, Int8, NAME, T, 256, 6, 128, 6)  \
    QUANTISED_KERNELS(int4, Int4, NAME, T, 256, 8, 256, 4)  \
    QUANTISED_KERNELS(int4_own, Int4Own, NAME, T, 256, 8, 256, 4) \
    QUANTISED_KERNELS(fp4, Fp4, NAME, T, 256, 8, 256, 4)

QUANTISED_KERNELS_OF(f16, __half)
QUANTISED_KERNELS_OF(bf16, __nv_bfloat16)

#define PACK_KERNEL(BITS, Codes)                                                                                      \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        pack_codes_##BITS(const unsigned char* codes, long long rowBytes, long long seed, int fp8, uint32_t* out,     \
                          int firstRow, int rows, int depth) {                                                        \
        beginKernel();                                                                                                \
        packCodes<Codes>(codes, rowBytes, seed, fp8, out, firstRow, rows, depth);                                     \
    }

PACK_KERNEL(4, Int4)
PACK_KERNEL(8, Int8)

extern "C" __global__ void __launch_bounds__(256)
    pack_scales(const float* scales, const unsigned char* zeros, int zero, int type, uint32_t* out, int firstRow,
                int rows, int groups) {
    beginKernel();
    packScales(scales, zeros, zero, type, out, firstRow, rows, groups);
}
