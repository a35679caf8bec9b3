// Attention over cache blocks (Milakov and Gimelshein 2018; Dao et al. 2022), on tensor cores.
//
// The unit of work is a *tile*: at most 64 tokens of one cell of the fixed token grid, against 16 queries. Its partial
// result is, for each query, m = max s, l = sum e^(s - m), acc = sum e^(s - m) v, with acc starting at 0. Partials are
// merged into the running state one after the other, in token order. All kernels below use the same functions to score
// a tile, weigh its values and merge, so a row gets the same bits from each of them, whatever the number of rows, spans
// and calls. m is kept in units of log2: s is scaled by scale * log2(e), and powers are powers of two.
//
// Asynchronous copies bring K and V of a tile to shared memory, all of them requested before the first is needed;
// ldmatrix brings them from there to the tensor cores. Few rows need the rate of device memory, and many rows share
// what was fetched.
//
// The range that holds the first token that a row sees begins the row's attention, so the state need not be
// initialised. The range that holds its own position ends it, and writes the row's result to `out`. A range outside
// these two is none of the row's.
#pragma once

#include "common.cuh"

namespace weft {

constexpr int TILE_TOKENS = 64;
constexpr int TILE_QUERIES = 16;
constexpr int TOKEN_GROUPS = TILE_TOKENS / 8;
// Warps of a block, which share its tiles.
constexpr int WARPS = 4;
constexpr int SPAN_INTS = 5;
// Tiles that a block of attendWhole has in shared memory.
constexpr int WHOLE_STAGES = 3;

// The parameters of a launch; their layouts are those of AttentionIndex, AttentionWork and AttentionShape.
template <typename T>
struct Call {
    const T* queries;
    float* state;
    T* out;
    const int* spans;
    const int* rowPositions;
    const unsigned long long* blockTable;
    int blocksPerSequence;
    unsigned long long bases[4];
    int heads;
    int keyValueHeads;
    int headSize;
    float scaleLog2;
    float capExponent;  // 2 * scale / cap * log2(e)
    float capLog2;      // cap * log2(e); 0 without a cap, which takes the place of scaleLog2: that is 1 then
    const float* sinks;  // (heads), or null
    int window;
    int blockTokens;
    int cellTokens;
    int fewRows;  // spans with more rows are the work of attendMany, the others that of attendWhole or attendFew
};

struct Span {
    int sequence;
    int firstRow;
    int rows;
    int fromToken;
    int toToken;

    __device__ __forceinline__ explicit Span(const int* at)
        : sequence(at[0]), firstRow(at[1]), rows(at[2]), fromToken(at[3]), toToken(at[4]) {}
};

// The tiles of a span, counted from its first token. Tiles start anew at each cell.
struct TileGrid {
    int cellTokens;
    int tilesPerCell;

    __device__ __forceinline__ explicit TileGrid(int cellTokens)
        : cellTokens(cellTokens), tilesPerCell((cellTokens + TILE_TOKENS - 1) / TILE_TOKENS) {}

    __device__ __forceinline__ int start(int fromToken, int tile) const {
        return fromToken + tile / tilesPerCell * cellTokens + tile % tilesPerCell * TILE_TOKENS;
    }
    __device__ __forceinline__ int end(int fromToken, int tile) const {
        int cellEnd = fromToken + (tile / tilesPerCell + 1) * cellTokens;
        int end = start(fromToken, tile) + TILE_TOKENS;
        return end < cellEnd ? end : cellEnd;
    }
    // The tile that holds a token.
    __device__ __forceinline__ int tileOf(int fromToken, int token) const {
        int offset = token - fromToken;
        return offset / cellTokens * tilesPerCell + offset % cellTokens / TILE_TOKENS;
    }
};

template <typename T>
__device__ __forceinline__ int positionOf(const Call<T>& call, const Span& span, int query, int group) {
    return call.rowPositions[span.firstRow + query / group];
}

// The tokens [from, to) of a span that one query sees; empty for a query that does not exist. `begins` says that the
// query sees no token before them.
struct Sight {
    int from;
    int to;
    bool begins;

    __device__ __forceinline__ bool isEmpty() const { return from >= to; }
};

template <typename T>
__device__ __forceinline__ Sight sightOf(const Call<T>& call, const Span& span, int query, int queries, int group) {
    if (query >= queries) {
        return {0x7fffffff, 0, false};
    }
    int position = positionOf(call, span, query, group);
    int from = call.window > position ? 0 : position - call.window + 1;
    int to = position + 1 < span.toToken ? position + 1 : span.toToken;
    return {from > span.fromToken ? from : span.fromToken, to, from >= span.fromToken};
}

// K and V of a tile in shared memory: (TILE_TOKENS, PITCH) each, zeros for tokens that nobody sees and after the end of
// a head.
template <int GROUPS>
struct Tile {
    static constexpr int WIDTH = 32 * GROUPS;
    // A row's pitch is an odd number of 16-byte units, so ldmatrix has no bank conflicts.
    static constexpr int PITCH = WIDTH + VECTOR;
    static constexpr int ELEMENTS = TILE_TOKENS * PITCH;
    static constexpr int BYTES = 2 * 2 * ELEMENTS;
};

// Index into Call::bases, from the two highest bits of an entry of the block table; in the order of BlockBases.
enum Base { CLOSED = 0, OPEN = 1, STAGED = 2, RECOMPUTED = 3 };

// Where K and V of up to 32 tokens lie: lane t has the token first + t. Entries of the block table can be requested
// long before the rows: nothing waits for them until then.
struct TokenRows {
    // The entry of a token that nobody sees.
    static constexpr unsigned long long UNSEEN = ~0ull;

    unsigned long long entry;
    int place;

    template <typename T>
    __device__ __forceinline__ void find(const Call<T>& call, int sequence, int first, int from, int to) {
        int token = first + threadIdx.x % 32;
        int block = token / call.blockTokens;
        bool seen = token >= from && token < to;
        entry = seen ? call.blockTable[static_cast<size_t>(sequence) * call.blocksPerSequence + block] : UNSEEN;
        place = token - block * call.blockTokens;
    }

    // Whether copies wrote all of them: then they were complete before any preceding kernel began.
    __device__ __forceinline__ bool copied() const {
        int which = static_cast<int>(entry >> 62);
        return !__any_sync(FULL_WARP, entry != UNSEEN && (which == OPEN || which == RECOMPUTED));
    }

    // The row of the lane's token, 0 if nobody sees it.
    template <typename T>
    __device__ __forceinline__ unsigned long long row(const Call<T>& call) const {
        if (entry == UNSEEN) {
            return 0;
        }
        int which = static_cast<int>(entry >> 62);
        unsigned long long base = which == CLOSED   ? call.bases[CLOSED]
                                  : which == OPEN   ? call.bases[OPEN]
                                  : which == STAGED ? call.bases[STAGED]
                                                    : call.bases[RECOMPUTED];
        unsigned long long rowBytes = 2ull * call.keyValueHeads * call.headSize * sizeof(T);
        return base + (entry & ((1ull << 62) - 1)) + place * rowBytes;
    }
};

// Brings one head of TOKENS tokens, K or V according to `offset`, to shared memory; done by one warp, with one row per
// lane.
template <typename T, int GROUPS, bool VECTORS, int TOKENS>
__device__ __forceinline__ void bring(const Call<T>& call, unsigned long long rowOfLane, size_t offset, T* to) {
    static_assert(TOKENS <= 32, "a lane has one row");
    constexpr int UNITS = Tile<GROUPS>::WIDTH / VECTOR;
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < TOKENS * UNITS; i += 32) {
        int token = (i + lane) / UNITS;
        int d = (i + lane) % UNITS * VECTOR;
        unsigned long long row = __shfl_sync(FULL_WARP, rowOfLane, token);
        const T* head = reinterpret_cast<const T*>(row) + offset;
        T* at = to + token * Tile<GROUPS>::PITCH + d;
        if (VECTORS) {
            bool exists = row != 0 && d < call.headSize;
            copyAsync(static_cast<uint32_t>(__cvta_generic_to_shared(at)), exists ? head + d : call.queries, exists);
        } else {
            for (int j = 0; j < VECTOR; j++) {
                at[j] = row != 0 && d + j < call.headSize ? head[d + j] : Element<T>::narrow(0.0f);
            }
        }
    }
}

// Elements d and d + 1 of a head; zeros where the head ends or `head` is null.
template <typename T, bool VECTORS>
__device__ __forceinline__ uint32_t loadPair(const T* head, int d, int headSize) {
    if (head == nullptr || d >= headSize) {
        return 0;
    }
    if (VECTORS) {
        return *reinterpret_cast<const uint32_t*>(head + d);
    }
    const uint16_t* bits = reinterpret_cast<const uint16_t*>(head + d);
    return bits[0] | (d + 1 < headSize ? static_cast<uint32_t>(bits[1]) << 16 : 0u);
}

// The queries of one warp as A fragments, sixteen d each. Rows are the queries lane / 4 and lane / 4 + 8.
template <typename T, int GROUPS, bool VECTORS>
struct Queries {
    uint32_t fragments[2 * GROUPS][4];

    __device__ __forceinline__ void load(const T* low, const T* high, int headSize) {
        int c = threadIdx.x % 4;
#pragma unroll
        for (int k = 0; k < 2 * GROUPS; k++) {
            fragments[k][0] = loadPair<T, VECTORS>(low, 16 * k + 2 * c, headSize);
            fragments[k][1] = loadPair<T, VECTORS>(high, 16 * k + 2 * c, headSize);
            fragments[k][2] = loadPair<T, VECTORS>(low, 16 * k + 8 + 2 * c, headSize);
            fragments[k][3] = loadPair<T, VECTORS>(high, 16 * k + 8 + 2 * c, headSize);
        }
    }
};

// Scores of a tile as weights 2^(s - m), which are A fragments of sixteen tokens each, with m and l, for the queries
// lane / 4 (index 0) and lane / 4 + 8 (index 1).
struct Weights {
    uint32_t fragments[TOKEN_GROUPS / 2][4] = {};
    float largest[2] = {NEGATIVE_INFINITY, NEGATIVE_INFINITY};
    float sum[2] = {};
};

// The products of the queries with the keys of SHARE groups of eight tokens, from group `first` on.
template <typename T, int GROUPS, bool VECTORS, int SHARE>
__device__ __forceinline__ void multiplyKeys(const Queries<T, GROUPS, VECTORS>& queries, const T* keys, int first,
                                             float (&products)[SHARE][4]) {
    int lane = threadIdx.x % 32;
    uint32_t keyAt = static_cast<uint32_t>(__cvta_generic_to_shared(keys)) +
                     2 * ((8 * first + lane % 8) * Tile<GROUPS>::PITCH + lane / 8 * 8);
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
#pragma unroll
        for (int j = 0; j < SHARE; j++) {
            uint32_t b[4];
            loadMatrices(b, keyAt + 2 * (8 * j * Tile<GROUPS>::PITCH + 32 * g));
            multiply(products[j], queries.fragments[2 * g], b[0], b[1], static_cast<T*>(nullptr));
            multiply(products[j], queries.fragments[2 * g + 1], b[2], b[3], static_cast<T*>(nullptr));
        }
    }
}

// Bounds products: cap * tanh(s / cap) = cap - 2 cap / (e^(2s / cap) + 1), in units of log2. Its error is 2^-22 of the
// cap at most, which is less than that of a weight in 16 bits.
template <typename T, int SHARE>
__device__ __forceinline__ void capScores(const Call<T>& call, float (&products)[SHARE][4]) {
    if (call.capLog2 == 0.0f) {
        return;
    }
#pragma unroll
    for (int j = 0; j < SHARE; j++) {
#pragma unroll
        for (int x = 0; x < 4; x++) {
            float power = exp2Fast(__fmul_rn(products[j][x], call.capExponent));
            float part = reciprocalFast(__fadd_rn(power, 1.0f));
            products[j][x] = __fmaf_rn(-2.0f * call.capLog2, part, call.capLog2);
        }
    }
}

// Exchanges products: each warp of a block has those with SHARE groups of eight tokens, and gets those with all groups.
// `room` holds TOKEN_GROUPS * 32 of them.
template <int SHARE>
__device__ __forceinline__ void exchange(const float (&products)[SHARE][4], float4* room,
                                         float (&scores)[TOKEN_GROUPS][4]) {
    int lane = threadIdx.x % 32;
    int warp = threadIdx.x / 32;
#pragma unroll
    for (int j = 0; j < SHARE; j++) {
        room[(warp * SHARE + j) * 32 + lane] =
            make_float4(products[j][0], products[j][1], products[j][2], products[j][3]);
    }
    __syncthreads();
#pragma unroll
    for (int j = 0; j < TOKEN_GROUPS; j++) {
        float4 x = room[j * 32 + lane];
        scores[j][0] = x.x;
        scores[j][1] = x.y;
        scores[j][2] = x.z;
        scores[j][3] = x.w;
    }
}

// Whether a tile of queries has more than eight: the second half of the tensor cores' rows is then in use.
__device__ __forceinline__ int halvesOf(int queries, int queryTile) {
    return queries - queryTile * TILE_QUERIES > TILE_QUERIES / 2 ? 2 : 1;
}

// Tokens [start, end), of which query i of the lane's two sees sight[i]. Tokens that a query does not see have weight
// 0, which does not change its sums. With one half, none of the second eight queries exists.
template <typename T>
__device__ __forceinline__ void weighScores(const Call<T>& call, int start, int end, const Sight (&sight)[2],
                                            int halves, float (&scores)[TOKEN_GROUPS][4], Weights& weights) {
    int c = threadIdx.x % 4;
#pragma unroll
    for (int q = 0; q < 2; q++) {
        if (q == halves) {
            break;
        }
        int seenFrom = sight[q].from - start;
        int seenTo = (sight[q].to < end ? sight[q].to : end) - start;
        float largest = NEGATIVE_INFINITY;
#pragma unroll
        for (int j = 0; j < TOKEN_GROUPS; j++) {
#pragma unroll
            for (int x = 0; x < 2; x++) {
                int token = 8 * j + 2 * c + x;
                bool seen = token >= seenFrom && token < seenTo;
                float score = seen ? __fmul_rn(scores[j][2 * q + x], call.scaleLog2) : NEGATIVE_INFINITY;
                scores[j][2 * q + x] = score;
                largest = fmaxf(largest, score);
            }
        }
        largest = fmaxf(largest, __shfl_xor_sync(FULL_WARP, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(FULL_WARP, largest, 2));
        float reference = largest == NEGATIVE_INFINITY ? 0.0f : largest;
        float sum = 0.0f;
#pragma unroll
        for (int j = 0; j < TOKEN_GROUPS; j++) {
            float first = exp2Fast(__fsub_rn(scores[j][2 * q], reference));
            float second = exp2Fast(__fsub_rn(scores[j][2 * q + 1], reference));
            sum = __fadd_rn(sum, __fadd_rn(first, second));
            weights.fragments[j / 2][j % 2 * 2 + q] = Element<T>::narrow2(first, second);
        }
        sum = __fadd_rn(sum, __shfl_xor_sync(FULL_WARP, sum, 1));
        sum = __fadd_rn(sum, __shfl_xor_sync(FULL_WARP, sum, 2));
        weights.largest[q] = largest;
        weights.sum[q] = sum;
    }
}

// The first of the two columns d and d + 1 of a thread, in the j-th group of eight columns that a warp has of SHARES
// parts.
template <int SHARES>
__device__ __forceinline__ int columnOf(int j, int share) {
    return 8 * (j / 2 * 2 * SHARES + 2 * share + j % 2) + 2 * (threadIdx.x % 4);
}

// Computes acc of a tile, eight columns at a time: take(j, {query 0 at d, d + 1, query 1 at d, d + 1}) with d =
// columnOf<SHARES>(j, share). The columns have SHARES parts, of which this is one.
template <typename T, int GROUPS, int SHARES, typename Take>
__device__ __forceinline__ void weighValues(const Weights& weights, const T* values, int share, Take take) {
    int lane = threadIdx.x % 32;
    uint32_t valueAt = static_cast<uint32_t>(__cvta_generic_to_shared(values)) +
                       2 * (lane % 16 * Tile<GROUPS>::PITCH + lane / 16 * 8);
#pragma unroll
    for (int i = 0; i < 4 * GROUPS; i += 2 * SHARES) {
        int n = i + 2 * share;
        if (n >= 4 * GROUPS) {
            return;
        }
        float acc[2][4] = {};
#pragma unroll
        for (int k = 0; k < TILE_TOKENS / 16; k++) {
            uint32_t b[4];
            loadTransposed(b, valueAt + 2 * (16 * k * Tile<GROUPS>::PITCH + 8 * n));
            multiply(acc[0], weights.fragments[k], b[0], b[1], static_cast<T*>(nullptr));
            multiply(acc[1], weights.fragments[k], b[2], b[3], static_cast<T*>(nullptr));
        }
        take(i / SHARES, acc[0]);
        take(i / SHARES + 1, acc[1]);
    }
}

// The factors of a merge of a state with a partial: state = state * before + partial * now. An empty partial has the
// factors 1 and 0, exactly.
struct Merge {
    float before;
    float now;

    __device__ __forceinline__ Merge(float largest, float partialLargest) {
        float newLargest = fmaxf(largest, partialLargest);
        float reference = newLargest == NEGATIVE_INFINITY ? 0.0f : newLargest;
        before = largest == newLargest ? 1.0f : exp2Fast(__fsub_rn(largest, reference));
        now = exp2Fast(__fsub_rn(partialLargest, reference));
    }

    // Takes the factors from another lane.
    __device__ __forceinline__ Merge(const Merge& merge, int lane)
        : before(__shfl_sync(FULL_WARP, merge.before, lane)), now(__shfl_sync(FULL_WARP, merge.now, lane)) {}

    __device__ __forceinline__ float operator()(float state, float partial) const {
        return __fmaf_rn(partial, now, __fmul_rn(state, before));
    }
};

// The result of a row's head, given its state after the last token: acc / l, or acc / (l + 2^(sink - m)) with a sink.
struct Ending {
    float factor = 1.0f;
    float divisor;

    template <typename T>
    __device__ __forceinline__ Ending(const Call<T>& call, int head, float largest, float sum) : divisor(sum) {
        if (call.sinks != nullptr) {
            Merge sink(largest, __fmul_rn(call.sinks[head], LOG2_E));
            factor = sink.before;
            divisor = sink(sum, 1.0f);
        }
    }

    __device__ __forceinline__ float operator()(float acc) const { return __fdiv_rn(__fmul_rn(acc, factor), divisor); }
};

__device__ __forceinline__ int warpLeast(int x) {
    return __reduce_min_sync(FULL_WARP, x);
}

__device__ __forceinline__ int warpMost(int x) {
    return __reduce_max_sync(FULL_WARP, x);
}

// Queries of a warp: `first` .. `first + 15` of the span's rows times the group's heads, row by row.
template <typename T>
__device__ __forceinline__ const T* queryRow(const Call<T>& call, const Span& span, int keyValueHead, int query,
                                             int queries, int group) {
    if (query >= queries) {
        return nullptr;
    }
    size_t row = span.firstRow + query / group;
    int head = keyValueHead * group + query % group;
    return call.queries + (row * call.heads + head) * call.headSize;
}

template <typename T>
__device__ __forceinline__ float* stateRow(const Call<T>& call, const Span& span, int keyValueHead, int query,
                                           int group) {
    size_t row = span.firstRow + query / group;
    int head = keyValueHead * group + query % group;
    return call.state + (row * call.heads + head) * (call.headSize + 2);
}

template <typename T>
__device__ __forceinline__ T* outRow(const Call<T>& call, const Span& span, int keyValueHead, int query, int group) {
    size_t row = span.firstRow + query / group;
    int head = keyValueHead * group + query % group;
    return call.out + (row * call.heads + head) * call.headSize;
}

// The running state of two queries of a lane, in the columns that its warp has of SHARES parts: acc[j] holds those of
// columnOf(j) for query 0, then for query 1.
template <int GROUPS, int SHARES>
struct State {
    static constexpr int COLUMNS = 2 * ((4 * GROUPS + 2 * SHARES - 1) / (2 * SHARES));

    float acc[COLUMNS][4];
    float largest[2];
    float sum[2];
    int share;

    // Loads the state that an earlier call left for a span's rows; starts empty for those that the span begins.
    template <typename T>
    __device__ __forceinline__ void load(const Call<T>& call, const Span& span, int keyValueHead, const int (&query)[2],
                                         const Sight (&sight)[2], int group) {
#pragma unroll
        for (int q = 0; q < 2; q++) {
            // A span from token 0 begins all its rows: the compiler needs fewer registers where it knows.
            const float* state = span.fromToken == 0 || sight[q].begins || sight[q].isEmpty()
                                     ? nullptr
                                     : stateRow(call, span, keyValueHead, query[q], group);
            largest[q] = state == nullptr ? NEGATIVE_INFINITY : state[call.headSize];
            sum[q] = state == nullptr ? 0.0f : state[call.headSize + 1];
#pragma unroll
            for (int j = 0; j < COLUMNS; j++) {
#pragma unroll
                for (int x = 0; x < 2; x++) {
                    int d = columnOf<SHARES>(j, share) + x;
                    acc[j][2 * q + x] = state != nullptr && d < call.headSize ? state[d] : 0.0f;
                }
            }
        }
    }

    // Merges a tile, given its weights, into the state.
    template <typename T>
    __device__ __forceinline__ void merge(const Weights& weights, const T* values) {
        const Merge merge[2] = {Merge(largest[0], weights.largest[0]), Merge(largest[1], weights.largest[1])};
#pragma unroll
        for (int q = 0; q < 2; q++) {
            largest[q] = fmaxf(largest[q], weights.largest[q]);
            sum[q] = merge[q](sum[q], weights.sum[q]);
        }
        weighValues<T, GROUPS, SHARES>(weights, values, share, [&](int j, const float (&ofTile)[4]) {
#pragma unroll
            for (int x = 0; x < 4; x++) {
                acc[j][x] = merge[x / 2](acc[j][x], ofTile[x]);
            }
        });
    }

    // Finishes the rows whose last token is in the span, and stores the state of the others that see some of it.
    template <typename T>
    __device__ __forceinline__ void store(const Call<T>& call, const Span& span, int keyValueHead, const int (&query)[2],
                                          int queries, int group) const {
#pragma unroll
        for (int q = 0; q < 2; q++) {
            // Found anew, so that it takes no registers until here.
            if (!sightOf(call, span, query[q], queries, group).isEmpty()) {
                bool ends = positionOf(call, span, query[q], group) < span.toToken;
                float* state = stateRow(call, span, keyValueHead, query[q], group);
                T* out = outRow(call, span, keyValueHead, query[q], group);
                Ending ending(call, keyValueHead * group + query[q] % group, largest[q], sum[q]);
                if (threadIdx.x % 4 == 0 && share == 0 && !ends) {
                    state[call.headSize] = largest[q];
                    state[call.headSize + 1] = sum[q];
                }
#pragma unroll
                for (int j = 0; j < COLUMNS; j++) {
#pragma unroll
                    for (int x = 0; x < 2; x++) {
                        int d = columnOf<SHARES>(j, share) + x;
                        if (d < call.headSize) {
                            if (ends) {
                                out[d] = Element<T>::narrow(ending(acc[j][2 * q + x]));
                            } else {
                                state[d] = acc[j][2 * q + x];
                            }
                        }
                    }
                }
            }
        }
    }
};

// Spans of many rows: a block takes 64 queries, a warp 16 of them, through all tiles that they see. The block fetches
// STAGES tiles at a time, and the state stays in registers. Grid: (query tiles / WARPS, K/V heads, spans).
template <typename T, int GROUPS, bool VECTORS, int STAGES>
__device__ __forceinline__ void attendMany(const Call<T>& call) {
    extern __shared__ __align__(16) unsigned char attentionTiles[];
    __shared__ int seenFrom[WARPS];
    __shared__ int seenTo[WARPS];
    Span span(call.spans + SPAN_INTS * blockIdx.z);
    if (span.rows <= call.fewRows) {
        return;
    }
    int group = call.heads / call.keyValueHeads;
    int keyValueHead = blockIdx.y;
    int queries = span.rows * group;
    int lane = threadIdx.x % 32;
    int warp = threadIdx.x / 32;
    // The last rows see the most tokens, so they start first.
    int queryTile = (gridDim.x - 1 - blockIdx.x) * WARPS + warp;
    int query[2] = {queryTile * TILE_QUERIES + lane / 4, queryTile * TILE_QUERIES + lane / 4 + 8};
    const Sight sight[2] = {sightOf(call, span, query[0], queries, group),
                            sightOf(call, span, query[1], queries, group)};
    int from = warpLeast(sight[0].from < sight[1].from ? sight[0].from : sight[1].from);
    int to = warpMost(sight[0].to > sight[1].to ? sight[0].to : sight[1].to);
    if (lane == 0) {
        seenFrom[warp] = from < to ? from : 0x7fffffff;
        seenTo[warp] = from < to ? to : 0;
    }
    __syncthreads();
    int blockFrom = seenFrom[0];
    int blockTo = seenTo[0];
#pragma unroll
    for (int i = 1; i < WARPS; i++) {
        blockFrom = seenFrom[i] < blockFrom ? seenFrom[i] : blockFrom;
        blockTo = seenTo[i] > blockTo ? seenTo[i] : blockTo;
    }
    if (blockFrom >= blockTo) {
        return;
    }

    Queries<T, GROUPS, VECTORS> fragments;
    fragments.load(queryRow(call, span, keyValueHead, query[0], queries, group),
                   queryRow(call, span, keyValueHead, query[1], queries, group), call.headSize);
    State<GROUPS, 1> running;
    running.share = 0;
    running.load(call, span, keyValueHead, query, sight, group);

    TileGrid grid(call.cellTokens);
    T* tiles = reinterpret_cast<T*>(attentionTiles);
    size_t keyOffset = static_cast<size_t>(keyValueHead) * call.headSize;
    size_t valueOffset = keyOffset + static_cast<size_t>(call.keyValueHeads) * call.headSize;
    int lastTile = grid.tileOf(span.fromToken, blockTo - 1);
    int firstTile = grid.tileOf(span.fromToken, blockFrom);
    // A warp fetches its share of the tile's tokens.
    auto bringTile = [&](int tile) {
        constexpr int TOKENS = TILE_TOKENS / WARPS;
        int first = warp * TOKENS;
        int start = grid.start(span.fromToken, tile);
        int end = grid.end(span.fromToken, tile);
        TokenRows rows;
        rows.find(call, span.sequence, start + first, blockFrom, blockTo < end ? blockTo : end);
        T* at = tiles + tile % STAGES * 2 * Tile<GROUPS>::ELEMENTS + first * Tile<GROUPS>::PITCH;
        unsigned long long row = rows.row(call);
        bring<T, GROUPS, VECTORS, TOKENS>(call, row, keyOffset, at);
        bring<T, GROUPS, VECTORS, TOKENS>(call, row, valueOffset, at + Tile<GROUPS>::ELEMENTS);
    };
    if (STAGES > 1) {
        bringTile(firstTile);
        commitCopies();
    }
    for (int tile = firstTile; tile <= lastTile; tile++) {
        if (STAGES == 1) {
            bringTile(tile);
        } else if (tile < lastTile) {
            bringTile(tile + 1);
        }
        commitCopies();
        awaitCopies<STAGES - 1>();
        __syncthreads();
        int start = grid.start(span.fromToken, tile);
        int end = grid.end(span.fromToken, tile);
        if (from < end && to > start && from < to) {
            const T* keys = tiles + tile % STAGES * 2 * Tile<GROUPS>::ELEMENTS;
            Weights weights;
            float scores[TOKEN_GROUPS][4] = {};
            multiplyKeys(fragments, keys, 0, scores);
            capScores(call, scores);
            weighScores(call, start, end, sight, 2, scores, weights);
            running.merge(weights, keys + Tile<GROUPS>::ELEMENTS);
        }
        // The next iteration overwrites what this one read.
        __syncthreads();
    }

    running.store(call, span, keyValueHead, query, queries, group);
}

// Spans of few rows that are many or long enough to give every multiprocessor its share: one block takes a span through
// all tiles that its queries see, STAGES at a time; its warps share the tokens of a tile, then its columns, and the
// state stays in registers. Grid: (K/V heads * query tiles, 1, spans).
//
// This kernel and the two for few rows below read the step's index arrays before the preceding kernel has ended: no
// kernel after the embedding writes them. No kernel writes closed or staged blocks either, so their tiles are also
// requested before then.
template <typename T, int GROUPS, int STAGES>
__device__ __forceinline__ void attendWhole(const Call<T>& call) {
    constexpr int TOKENS = TILE_TOKENS / WARPS;
    constexpr int SHARE = TOKEN_GROUPS / WARPS;
    extern __shared__ __align__(16) unsigned char attentionTiles[];
    letNextKernelStart();
    Span span(call.spans + SPAN_INTS * blockIdx.z);
    int group = call.heads / call.keyValueHeads;
    int keyValueHead = blockIdx.x % call.keyValueHeads;
    int queryTile = blockIdx.x / call.keyValueHeads;
    int queries = span.rows > call.fewRows ? 0 : span.rows * group;
    int lane = threadIdx.x % 32;
    int warp = threadIdx.x / 32;
    int query[2] = {queryTile * TILE_QUERIES + lane / 4, queryTile * TILE_QUERIES + lane / 4 + 8};
    const Sight sight[2] = {sightOf(call, span, query[0], queries, group),
                            sightOf(call, span, query[1], queries, group)};
    int from = warpLeast(sight[0].from < sight[1].from ? sight[0].from : sight[1].from);
    int to = warpMost(sight[0].to > sight[1].to ? sight[0].to : sight[1].to);
    TileGrid grid(call.cellTokens);
    int firstTile = from < to ? grid.tileOf(span.fromToken, from) : 0;
    int lastTile = from < to ? grid.tileOf(span.fromToken, to - 1) : -1;
    T* tiles = reinterpret_cast<T*>(attentionTiles);
    float4* room = reinterpret_cast<float4*>(tiles + STAGES * 2 * Tile<GROUPS>::ELEMENTS);
    auto find = [&](int tile) {
        TokenRows rows;
        int start = grid.start(span.fromToken, tile) + warp * TOKENS;
        int end = grid.end(span.fromToken, tile);
        rows.find(call, span.sequence, start, from, to < end ? to : end);
        return rows;
    };
    auto bringTile = [&](const TokenRows& rows, int tile) {
        T* at = tiles + tile % STAGES * 2 * Tile<GROUPS>::ELEMENTS + warp * TOKENS * Tile<GROUPS>::PITCH;
        size_t keyOffset = static_cast<size_t>(keyValueHead) * call.headSize;
        unsigned long long row = rows.row(call);
        bring<T, GROUPS, true, TOKENS>(call, row, keyOffset, at);
        bring<T, GROUPS, true, TOKENS>(
            call, row, keyOffset + static_cast<size_t>(call.keyValueHeads) * call.headSize,
            at + Tile<GROUPS>::ELEMENTS);
    };
    TokenRows rows = find(firstTile);
    bool copied = rows.copied();
    if (firstTile <= lastTile && copied) {
        bringTile(rows, firstTile);
    }
    awaitEarlierKernels();
    if (firstTile > lastTile) {
        return;
    }
    if (!copied) {
        bringTile(rows, firstTile);
    }
    commitCopies();
    auto bringNext = [&](int tile) {
        if (tile <= lastTile) {
            bringTile(rows, tile);
        }
        commitCopies();
        rows = find(tile + 1);
    };
    rows = find(firstTile + 1);
#pragma unroll
    for (int s = 1; s < STAGES - 1; s++) {
        bringNext(firstTile + s);
    }
    Queries<T, GROUPS, true> fragments;
    fragments.load(queryRow(call, span, keyValueHead, query[0], queries, group),
                   queryRow(call, span, keyValueHead, query[1], queries, group), call.headSize);
    int halves = halvesOf(queries, queryTile);
    State<GROUPS, WARPS> running;
    running.share = warp;
    running.load(call, span, keyValueHead, query, sight, group);
    for (int tile = firstTile; tile <= lastTile; tile++) {
        awaitCopies<STAGES - 2>();
        // All warps have this tile, and are done with the one that the next tile replaces.
        __syncthreads();
        bringNext(tile + STAGES - 1);
        const T* keys = tiles + tile % STAGES * 2 * Tile<GROUPS>::ELEMENTS;
        float products[SHARE][4] = {};
        multiplyKeys(fragments, keys, warp * SHARE, products);
        capScores(call, products);
        float scores[TOKEN_GROUPS][4];
        exchange(products, room, scores);
        Weights weights;
        weighScores(call, grid.start(span.fromToken, tile), grid.end(span.fromToken, tile), sight, halves, scores,
                    weights);
        running.merge(weights, keys + Tile<GROUPS>::ELEMENTS);
    }
    running.store(call, span, keyValueHead, query, queries, group);
}

// Spans of many rows with heads so large that neither the state of a row nor a second tile fits a warp's or a block's
// share: a block takes 16 queries through all tiles that they see, and its warps share the tokens of a tile, then its
// columns. The keys of a tile arrive while the values of the one before are weighed, and its values while they are
// scored. Grid: (query tiles, K/V heads, spans).
template <typename T, int GROUPS>
__device__ __forceinline__ void attendLarge(const Call<T>& call) {
    constexpr int TOKENS = TILE_TOKENS / WARPS;
    constexpr int SHARE = TOKEN_GROUPS / WARPS;
    extern __shared__ __align__(16) unsigned char attentionTiles[];
    Span span(call.spans + SPAN_INTS * blockIdx.z);
    if (span.rows <= call.fewRows) {
        return;
    }
    int group = call.heads / call.keyValueHeads;
    int keyValueHead = blockIdx.y;
    int queries = span.rows * group;
    int lane = threadIdx.x % 32;
    int warp = threadIdx.x / 32;
    // The last rows see the most tokens, so they start first.
    int queryTile = gridDim.x - 1 - blockIdx.x;
    int query[2] = {queryTile * TILE_QUERIES + lane / 4, queryTile * TILE_QUERIES + lane / 4 + 8};
    const Sight sight[2] = {sightOf(call, span, query[0], queries, group),
                            sightOf(call, span, query[1], queries, group)};
    int from = warpLeast(sight[0].from < sight[1].from ? sight[0].from : sight[1].from);
    int to = warpMost(sight[0].to > sight[1].to ? sight[0].to : sight[1].to);
    if (from >= to) {
        return;
    }
    TileGrid grid(call.cellTokens);
    int firstTile = grid.tileOf(span.fromToken, from);
    int lastTile = grid.tileOf(span.fromToken, to - 1);
    T* keys = reinterpret_cast<T*>(attentionTiles);
    T* values = keys + Tile<GROUPS>::ELEMENTS;
    float4* room = reinterpret_cast<float4*>(values + Tile<GROUPS>::ELEMENTS);
    size_t keyOffset = static_cast<size_t>(keyValueHead) * call.headSize;
    size_t valueOffset = keyOffset + static_cast<size_t>(call.keyValueHeads) * call.headSize;
    int own = warp * TOKENS * Tile<GROUPS>::PITCH;
    auto rowOf = [&](int tile) {
        TokenRows rows;
        int end = grid.end(span.fromToken, tile);
        rows.find(call, span.sequence, grid.start(span.fromToken, tile) + warp * TOKENS, from, to < end ? to : end);
        return rows.row(call);
    };
    unsigned long long row = rowOf(firstTile);
    bring<T, GROUPS, true, TOKENS>(call, row, keyOffset, keys + own);
    commitCopies();
    bring<T, GROUPS, true, TOKENS>(call, row, valueOffset, values + own);
    commitCopies();
    int halves = halvesOf(queries, queryTile);
    State<GROUPS, WARPS> running;
    running.share = warp;
    running.load(call, span, keyValueHead, query, sight, group);
    for (int tile = firstTile; tile <= lastTile; tile++) {
        // The keys have arrived.
        awaitCopies<1>();
        __syncthreads();
        float products[SHARE][4] = {};
        {
            // Read anew for each tile: registers hold them or the state, not both.
            Queries<T, GROUPS, true> fragments;
            fragments.load(queryRow(call, span, keyValueHead, query[0], queries, group),
                           queryRow(call, span, keyValueHead, query[1], queries, group), call.headSize);
            multiplyKeys(fragments, keys, warp * SHARE, products);
        }
        capScores(call, products);
        float scores[TOKEN_GROUPS][4];
        exchange(products, room, scores);
        // All warps have read the keys.
        bool more = tile < lastTile;
        if (more) {
            row = rowOf(tile + 1);
            bring<T, GROUPS, true, TOKENS>(call, row, keyOffset, keys + own);
        }
        commitCopies();
        Weights weights;
        weighScores(call, grid.start(span.fromToken, tile), grid.end(span.fromToken, tile), sight, halves, scores,
                    weights);
        // The values have arrived.
        awaitCopies<1>();
        __syncthreads();
        running.merge(weights, values);
        // All warps have read the values.
        __syncthreads();
        if (more) {
            bring<T, GROUPS, true, TOKENS>(call, row, valueOffset, values + own);
        }
        commitCopies();
    }
    running.store(call, span, keyValueHead, query, queries, group);
}

// Where the partials of a span's few rows lie: (span, K/V head, query, tile), acc (HD) each, followed by all m and l as
// pairs.
struct Partials {
    float* acc;
    float2* sums;
    int queries;  // of a span at most
    int tiles;    // of a span in this launch
    int firstTile;

    __device__ __forceinline__ size_t slot(int span, int keyValueHead, int keyValueHeads, int query, int tile) const {
        return ((static_cast<size_t>(span) * keyValueHeads + keyValueHead) * queries + query) * tiles + tile;
    }
};

// Spans of few rows that would leave multiprocessors idle: one block a tile, whose warps share its tokens, then its
// columns. Neighbouring blocks take the heads of the same tokens, which are adjacent in memory. Grid: (K/V heads *
// query tiles, tiles, spans).
template <typename T, int GROUPS, bool VECTORS>
__device__ __forceinline__ void attendFew(const Call<T>& call, const Partials& partials) {
    constexpr int TOKENS = TILE_TOKENS / WARPS;
    constexpr int SHARE = TOKEN_GROUPS / WARPS;
    extern __shared__ __align__(16) unsigned char attentionTiles[];
    letNextKernelStart();
    Span span(call.spans + SPAN_INTS * blockIdx.z);
    int group = call.heads / call.keyValueHeads;
    int keyValueHead = blockIdx.x % call.keyValueHeads;
    int queryTile = blockIdx.x / call.keyValueHeads;
    int tile = blockIdx.y;
    TileGrid grid(call.cellTokens);
    int start = grid.start(span.fromToken, partials.firstTile + tile);
    int end = grid.end(span.fromToken, partials.firstTile + tile);
    int queries = span.rows > call.fewRows || tile >= partials.tiles ? 0 : span.rows * group;
    int lane = threadIdx.x % 32;
    int warp = threadIdx.x / 32;
    int query[2] = {queryTile * TILE_QUERIES + lane / 4, queryTile * TILE_QUERIES + lane / 4 + 8};
    const Sight sight[2] = {sightOf(call, span, query[0], queries, group),
                            sightOf(call, span, query[1], queries, group)};
    int from = warpLeast(sight[0].from < sight[1].from ? sight[0].from : sight[1].from);
    int to = warpMost(sight[0].to > sight[1].to ? sight[0].to : sight[1].to);
    bool seen = from < end && to > start;
    T* keys = reinterpret_cast<T*>(attentionTiles);
    T* values = keys + Tile<GROUPS>::ELEMENTS;
    TokenRows rows;
    rows.find(call, span.sequence, start + warp * TOKENS, from, to < end ? to : end);
    auto bringTokens = [&] {
        int at = warp * TOKENS * Tile<GROUPS>::PITCH;
        unsigned long long row = rows.row(call);
        size_t keyOffset = static_cast<size_t>(keyValueHead) * call.headSize;
        bring<T, GROUPS, VECTORS, TOKENS>(call, row, keyOffset, keys + at);
        commitCopies();
        bring<T, GROUPS, VECTORS, TOKENS>(
            call, row, keyOffset + static_cast<size_t>(call.keyValueHeads) * call.headSize, values + at);
        commitCopies();
    };
    bool copied = rows.copied();
    if (seen && copied) {
        bringTokens();
    }
    awaitEarlierKernels();
    if (!seen) {
        return;
    }
    if (!copied) {
        bringTokens();
    }
    Queries<T, GROUPS, VECTORS> fragments;
    fragments.load(queryRow(call, span, keyValueHead, query[0], queries, group),
                   queryRow(call, span, keyValueHead, query[1], queries, group), call.headSize);
    awaitCopies<1>();
    __syncthreads();
    float products[SHARE][4] = {};
    multiplyKeys(fragments, keys, warp * SHARE, products);
    capScores(call, products);
    awaitCopies<0>();
    // The keys have been read and the values have arrived; the products replace the keys.
    __syncthreads();
    float scores[TOKEN_GROUPS][4];
    exchange(products, reinterpret_cast<float4*>(attentionTiles), scores);
    Weights weights;
    weighScores(call, start, end, sight, halvesOf(queries, queryTile), scores, weights);
    size_t slot[2];
#pragma unroll
    for (int q = 0; q < 2; q++) {
        slot[q] = partials.slot(blockIdx.z, keyValueHead, call.keyValueHeads, query[q], tile);
        if (query[q] < queries && lane % 4 == 0 && warp == 0) {
            partials.sums[slot[q]] = make_float2(weights.largest[q], weights.sum[q]);
        }
    }
    weighValues<T, GROUPS, WARPS>(weights, values, warp, [&](int j, const float (&acc)[4]) {
        int d = columnOf<WARPS>(j, warp);
#pragma unroll
        for (int q = 0; q < 2; q++) {
            if (query[q] < queries && d < call.headSize) {
                float* to = partials.acc + slot[q] * call.headSize + d;
                if (VECTORS) {
                    *reinterpret_cast<float2*>(to) = make_float2(acc[2 * q], acc[2 * q + 1]);
                } else {
                    to[0] = acc[2 * q];
                    if (d + 1 < call.headSize) {
                        to[1] = acc[2 * q + 1];
                    }
                }
            }
        }
    });
}

// Merges the partials of attendFew into the state, tile by tile. Grid: (queries, K/V heads, spans). A thread has a
// column; all threads of a block copy the tiles' columns to shared memory, three parts of them ahead, since what a
// layer waits for here is the way from the L2 cache.
template <typename T>
__device__ __forceinline__ void mergeFew(const Call<T>& call, const Partials& partials) {
    constexpr int PARTS = 3;
    constexpr int PART_FLOATS = 4096;
    __shared__ __align__(16) float parts[PARTS][PART_FLOATS];
    letNextKernelStart();
    Span span(call.spans + SPAN_INTS * blockIdx.z);
    int group = call.heads / call.keyValueHeads;
    int query = blockIdx.x;
    int queries = span.rows > call.fewRows ? 0 : span.rows * group;
    Sight sight = sightOf(call, span, query, queries, group);
    TileGrid grid(call.cellTokens);
    bool sees = !sight.isEmpty();
    int firstTile = sees ? grid.tileOf(span.fromToken, sight.from) - partials.firstTile : 0;
    int lastTile = sees ? grid.tileOf(span.fromToken, sight.to - 1) - partials.firstTile : -1;
    bool ends = sees && lastTile < partials.tiles && positionOf(call, span, query, group) < span.toToken;
    awaitEarlierKernels();
    if (query >= queries) {
        return;
    }
    bool begins = sight.begins && firstTile >= 0;
    firstTile = firstTile > 0 ? firstTile : 0;
    lastTile = lastTile < partials.tiles ? lastTile : partials.tiles - 1;
    if (firstTile > lastTile) {
        return;
    }
    float* state = stateRow(call, span, blockIdx.y, query, group);
    size_t slot = partials.slot(blockIdx.z, blockIdx.y, call.keyValueHeads, query, 0);
    int lane = threadIdx.x % 32;
    int d = threadIdx.x;
    bool column = d < call.headSize;
    int partTiles = min(32, PART_FLOATS / call.headSize);
    auto bring = [&](int tile, int part) {
        const float* from = partials.acc + (slot + tile) * call.headSize;
        int floats = min(partTiles, lastTile + 1 - tile) * call.headSize;
        if (call.headSize % 4 == 0) {
#pragma unroll 1
            for (int i = 4 * threadIdx.x; i < floats; i += 4 * blockDim.x) {
                copyAsync(static_cast<uint32_t>(__cvta_generic_to_shared(parts[part] + i)), from + i, true);
            }
        } else {
#pragma unroll 1
            for (int i = threadIdx.x; i < floats; i += blockDim.x) {
                parts[part][i] = from[i];
            }
        }
        commitCopies();
    };
    // A lane has the sums of one tile; they are requested one part ahead.
    auto sumsOf = [&](int tile) {
        return lane < partTiles && tile + lane <= lastTile ? partials.sums[slot + tile + lane]
                                                           : make_float2(NEGATIVE_INFINITY, 0.0f);
    };
    float2 nextSums = sumsOf(firstTile);
#pragma unroll
    for (int part = 0; part < PARTS - 1; part++) {
        bring(firstTile + part * partTiles, part);
    }
    float largest = begins ? NEGATIVE_INFINITY : state[call.headSize];
    float sum = begins ? 0.0f : state[call.headSize + 1];
    float acc = column && !begins ? state[d] : 0.0f;
    int part = 0;
#pragma unroll 1
    for (int tile = firstTile; tile <= lastTile; tile += partTiles) {
        float2 sums = nextSums;
        nextSums = sumsOf(tile + partTiles);
        // Neither the largest score up to each tile nor the factors of the merges wait for sums.
        float upTo = sums.x;
#pragma unroll
        for (int step = 1; step < 32; step *= 2) {
            float other = __shfl_up_sync(FULL_WARP, upTo, step);
            upTo = lane >= step ? fmaxf(upTo, other) : upTo;
        }
        upTo = fmaxf(upTo, largest);
        float before = __shfl_up_sync(FULL_WARP, upTo, 1);
        before = lane == 0 ? largest : before;
        Merge merge(before, sums.x);
        largest = __shfl_sync(FULL_WARP, upTo, 31);
        awaitCopies<PARTS - 2>();
        __syncthreads();
        // All have left the part before this one.
        bring(tile + (PARTS - 1) * partTiles, part == 0 ? PARTS - 1 : part - 1);
        int count = min(partTiles, lastTile + 1 - tile);
        const float* columnAt = parts[part] + (column ? d : 0);
#pragma unroll 8
        for (int i = 0; i < count; i++) {
            Merge ofTile(merge, i);
            sum = ofTile(sum, __shfl_sync(FULL_WARP, sums.y, i));
            acc = ofTile(acc, columnAt[i * call.headSize]);
        }
        part = part == PARTS - 1 ? 0 : part + 1;
    }
    if (ends) {
        if (column) {
            Ending ending(call, blockIdx.y * group + query % group, largest, sum);
            outRow(call, span, blockIdx.y, query, group)[d] = Element<T>::narrow(ending(acc));
        }
        return;
    }
    if (column) {
        state[d] = acc;
    }
    if (d == 0) {
        state[call.headSize] = largest;
        state[call.headSize + 1] = sum;
    }
}

}  // namespace weft

#define CALL_PARAMETERS(T)                                                                                            \
    const T *queries, float *state, T *out, const int *spans, const int *rowPositions,                                \
        const unsigned long long *blockTable, int blocksPerSequence, unsigned long long closed,                       \
        unsigned long long open, unsigned long long staged, unsigned long long recomputed, int heads,                 \
        int keyValueHeads, int headSize, float scaleLog2, float capExponent, float capLog2, const float *sinks,       \
        int window, int blockTokens, int cellTokens, int fewRows

#define CALL(T)                                                                                                       \
    Call<T> {                                                                                                         \
        queries, state, out, spans, rowPositions, blockTable, blocksPerSequence,                                      \
            {closed, open, staged, recomputed}, heads, keyValueHeads, headSize, scaleLog2, capExponent, capLog2,      \
            sinks, window, blockTokens, cellTokens, fewRows                                                                          \
    }

#define PARTIALS_PARAMETERS float *partialAcc, float2 *partialSums, int partialQueries, int tiles, int firstTile

#define PARTIALS                                                \
    Partials {                                                  \
        partialAcc, partialSums, partialQueries, tiles, firstTile \
    }

// Head sizes up to 32 * GROUPS, in 16-byte chunks; `any` takes sizes that are no multiple of eight elements. Shared
// memory is STAGES times the bytes of a tile, or one tile for few rows; the numbers are also those of KernelSet.java.
#define ATTENTION_KERNELS(NAME, T, SIZE, GROUPS, VECTORS, STAGES, MANY_BLOCKS, FEW_BLOCKS)                            \
    extern "C" __global__ void __launch_bounds__(32 * WARPS, MANY_BLOCKS)                                             \
        attend_many_##SIZE##_##NAME(CALL_PARAMETERS(T)) {                                                             \
        beginKernel();                                                                                                \
        attendMany<T, GROUPS, VECTORS, STAGES>(CALL(T));                                                              \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(32 * WARPS, FEW_BLOCKS)                                              \
        attend_few_##SIZE##_##NAME(CALL_PARAMETERS(T), PARTIALS_PARAMETERS) {                                         \
        attendFew<T, GROUPS, VECTORS>(CALL(T), PARTIALS);                                                             \
    }

// Shared memory is WHOLE_STAGES times the bytes of a tile, plus room to exchange the products with one.
#define WHOLE_ATTENTION_KERNEL(NAME, T, SIZE, GROUPS, BLOCKS)                                                         \
    extern "C" __global__ void __launch_bounds__(32 * WARPS, BLOCKS) attend_whole_##SIZE##_##NAME(CALL_PARAMETERS(T)) { \
        attendWhole<T, GROUPS, WHOLE_STAGES>(CALL(T));                                                                \
    }

// Shared memory is one tile, and for many rows room to exchange the products with it.
#define LARGE_ATTENTION_KERNELS(NAME, T, SIZE, GROUPS)                                                                \
    extern "C" __global__ void __launch_bounds__(32 * WARPS) attend_large_##SIZE##_##NAME(CALL_PARAMETERS(T)) {       \
        beginKernel();                                                                                                \
        attendLarge<T, GROUPS>(CALL(T));                                                                              \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(32 * WARPS)                                                          \
        attend_few_##SIZE##_##NAME(CALL_PARAMETERS(T), PARTIALS_PARAMETERS) {                                         \
        attendFew<T, GROUPS, true>(CALL(T), PARTIALS);                                                                \
    }

#define ALL_ATTENTION_KERNELS(NAME, T)                                                             \
    ATTENTION_KERNELS(NAME, T, 32, 1, true, 2, 4, 8)                                               \
    ATTENTION_KERNELS(NAME, T, 64, 2, true, 2, 3, 8)                                               \
    ATTENTION_KERNELS(NAME, T, 96, 3, true, 2, 2, 7)                                               \
    ATTENTION_KERNELS(NAME, T, 128, 4, true, 2, 3, 8)                                              \
    ATTENTION_KERNELS(NAME, T, 256, 8, true, 1, 2, 4)                                              \
    ATTENTION_KERNELS(NAME, T, any, 8, false, 1, 2, 4)                                             \
    LARGE_ATTENTION_KERNELS(NAME, T, 512, 16)                                                   \
    WHOLE_ATTENTION_KERNEL(NAME, T, 32, 1, 4)                                                   \
    WHOLE_ATTENTION_KERNEL(NAME, T, 64, 2, 4)                                                   \
    WHOLE_ATTENTION_KERNEL(NAME, T, 96, 3, 2)                                                   \
    WHOLE_ATTENTION_KERNEL(NAME, T, 128, 4, 2)                                                  \
    extern "C" __global__ void __launch_bounds__(512)                                              \
        merge_few_##NAME(CALL_PARAMETERS(T), PARTIALS_PARAMETERS) {                                \
        mergeFew<T>(CALL(T), PARTIALS);                                                            \
    }

ALL_ATTENTION_KERNELS(f16, __half)
ALL_ATTENTION_KERNELS(bf16, __nv_bfloat16)
