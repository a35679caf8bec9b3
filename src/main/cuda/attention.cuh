// Attention over cache blocks (Milakov and Gimelshein 2018; Dao et al. 2022), on tensor cores.
//
// The unit of work is a *tile*: at most 64 tokens of one cell of the fixed token grid, against 16 queries. Its partial
// result is, for each query, m = max s, l = sum e^(s - m), acc = sum e^(s - m) v, with acc starting at 0. Partials are
// merged into the running state one after the other, in token order. One function computes a tile, one merges; both
// kernels below are made of these two, so a row gets the same bits from either, whatever the number of rows, spans and
// calls. m is kept in units of log2: s is scaled by scale * log2(e), and powers are powers of two.
//
// A warp computes a tile straight from global memory. The sum over d and the columns of the accumulator may be in any
// fixed order, so K and V are given to the tensor cores in the order in which 16-byte loads deliver them:
//   K: lane (token n = lane / 4, c = lane % 4) loads d = 32 g + 8 c .. + 7, which makes the B fragments of two
//      products over 16 d each; queries are loaded in the same order.
//   V: lane (e = lane / 4, c) loads d = 64 i + 8 e .. + 7 of tokens 2c, 2c + 1, 2c + 8, 2c + 9 of sixteen, which makes
//      the B fragments of eight columns: column e of fragment j is d = 64 i + 8 e + j.
#pragma once

#include "common.cuh"

namespace weft {

constexpr int TILE_TOKENS = 64;
constexpr int TILE_QUERIES = 16;
constexpr int TOKEN_GROUPS = TILE_TOKENS / 8;
constexpr int WARPS = 4;
constexpr int SPAN_INTS = 5;

// Everything that the launch passes; the layouts are those of AttentionIndex, AttentionWork and AttentionShape.
template <typename T>
struct Call {
    const T* queries;
    float* state;
    const int* spans;
    const int* rowPositions;
    const unsigned long long* blockTable;
    int blocksPerSequence;
    unsigned long long bases[4];
    int heads;
    int keyValueHeads;
    int headSize;
    float scaleLog2;
    int window;
    int blockTokens;
    int cellTokens;
    int fewRows;  // spans with more rows are the work of attendMany, the others that of attendFew
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

// The tiles of a span, counted from its first token: each cell is cut into tiles anew.
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

// The tokens [from, to) that one query sees; empty for a query that does not exist.
struct Sight {
    int from;
    int to;
};

template <typename T>
__device__ __forceinline__ Sight sightOf(const Call<T>& call, const Span& span, int query, int queries, int group) {
    if (query >= queries) {
        return {0x7fffffff, 0};
    }
    int position = call.rowPositions[span.firstRow + query / group];
    int from = call.window > position ? 0 : position - call.window + 1;
    int to = position + 1 < span.toToken ? position + 1 : span.toToken;
    return {from > span.fromToken ? from : span.fromToken, to};
}

// Elements d .. d + 7 of a head as they lie in memory; zeros where the head ends or `head` is null.
template <typename T, bool VECTORS>
__device__ __forceinline__ uint4 loadChunk(const T* head, int d, int headSize) {
    uint4 words = make_uint4(0, 0, 0, 0);
    if (head == nullptr || d >= headSize) {
        return words;
    }
    if (VECTORS) {
        return *reinterpret_cast<const uint4*>(head + d);
    }
    const uint16_t* bits = reinterpret_cast<const uint16_t*>(head + d);
    int count = headSize - d;
    uint32_t word[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint32_t low = 2 * i < count ? bits[2 * i] : 0;
        uint32_t high = 2 * i + 1 < count ? bits[2 * i + 1] : 0;
        word[i] = low | high << 16;
    }
    return make_uint4(word[0], word[1], word[2], word[3]);
}

// The queries of one warp as A fragments: GROUPS groups of 32 d, two products each. Rows are the queries
// lane / 4 and lane / 4 + 8.
template <typename T, int GROUPS, bool VECTORS>
struct Queries {
    uint32_t fragments[2 * GROUPS][4];

    __device__ __forceinline__ void load(const T* low, const T* high, int headSize) {
        int c = threadIdx.x % 4;
#pragma unroll
        for (int g = 0; g < GROUPS; g++) {
            uint4 a = loadChunk<T, VECTORS>(low, 32 * g + 8 * c, headSize);
            uint4 b = loadChunk<T, VECTORS>(high, 32 * g + 8 * c, headSize);
            fragments[2 * g][0] = a.x;
            fragments[2 * g][1] = b.x;
            fragments[2 * g][2] = a.y;
            fragments[2 * g][3] = b.y;
            fragments[2 * g + 1][0] = a.z;
            fragments[2 * g + 1][1] = b.z;
            fragments[2 * g + 1][2] = a.w;
            fragments[2 * g + 1][3] = b.w;
        }
    }
};

// m, l and acc of a tile. A lane holds, for the queries lane / 4 (index 0) and lane / 4 + 8 (index 1), the columns
// d = 64 i + 8 e + j with e = 2 c (even) and 2 c + 1 (odd): acc[i][j] = {query 0 even, odd, query 1 even, odd}.
template <int GROUPS>
struct Partial {
    static constexpr int HALVES = (GROUPS + 1) / 2;
    float acc[HALVES][8][4];
    float largest[2];
    float sum[2];
};

// K and V rows of a tile's tokens: lane t has those of tokens t and t + 32, 0 for tokens that nobody sees.
struct TokenRows {
    unsigned long long low;
    unsigned long long high;

    template <typename T>
    __device__ __forceinline__ void find(const Call<T>& call, int sequence, int start, int from, int to) {
        int lane = threadIdx.x % 32;
        low = row(call, sequence, start + lane, from, to);
        high = row(call, sequence, start + lane + 32, from, to);
    }

    template <typename T>
    static __device__ __forceinline__ unsigned long long row(const Call<T>& call, int sequence, int token, int from,
                                                             int to) {
        if (token < from || token >= to) {
            return 0;
        }
        int block = token / call.blockTokens;
        unsigned long long entry =
            call.blockTable[static_cast<size_t>(sequence) * call.blocksPerSequence + block];
        int which = static_cast<int>(entry >> 62);
        unsigned long long base = which == 0   ? call.bases[0]
                                  : which == 1 ? call.bases[1]
                                  : which == 2 ? call.bases[2]
                                               : call.bases[3];
        unsigned long long rowBytes = 2ull * call.keyValueHeads * call.headSize * sizeof(T);
        return base + (entry & ((1ull << 62) - 1)) + (token - block * call.blockTokens) * rowBytes;
    }

    // The row of the tile's token `token`; all lanes call it together.
    __device__ __forceinline__ unsigned long long of(int token) const {
        return __shfl_sync(FULL_WARP, token < 32 ? low : high, token % 32);
    }
};

// One tile: tokens [start, end), of which query i of the lane's two sees sight[i]; [from, to) is what any query of the
// warp sees. Tokens that a query does not see weigh 0, which leaves its sums as they are.
template <typename T, int GROUPS, bool VECTORS, int KEY_BATCH>
__device__ __forceinline__ void computeTile(const Call<T>& call, int sequence, int keyValueHead, int start, int end,
                                            int from, int to, const Sight (&sight)[2],
                                            const Queries<T, GROUPS, VECTORS>& queries, Partial<GROUPS>& partial) {
    constexpr int HALVES = Partial<GROUPS>::HALVES;
    int lane = threadIdx.x % 32;
    int c = lane % 4;
    int e = lane / 4;
    int firstSeen = from > start ? from : start;
    int lastSeen = to < end ? to : end;
    TokenRows rows;
    rows.find(call, sequence, start, firstSeen, lastSeen);
    size_t keyOffset = static_cast<size_t>(keyValueHead) * call.headSize;
    size_t valueOffset = keyOffset + static_cast<size_t>(call.keyValueHeads) * call.headSize;

    float scores[TOKEN_GROUPS][4];
#pragma unroll
    for (int first = 0; first < TOKEN_GROUPS; first += KEY_BATCH) {
        uint4 keys[KEY_BATCH][GROUPS];
#pragma unroll
        for (int j = 0; j < KEY_BATCH; j++) {
            // Lanes ask for tokens of one half of the tile, so that the choice in of() is the same for all.
            unsigned long long row = rows.of(8 * (first + j) + e);
            const T* key = row == 0 ? nullptr : reinterpret_cast<const T*>(row) + keyOffset;
#pragma unroll
            for (int g = 0; g < GROUPS; g++) {
                keys[j][g] = loadChunk<T, VECTORS>(key, 32 * g + 8 * c, call.headSize);
            }
        }
#pragma unroll
        for (int j = 0; j < KEY_BATCH; j++) {
            float(&score)[4] = scores[first + j];
            score[0] = score[1] = score[2] = score[3] = 0.0f;
#pragma unroll
            for (int g = 0; g < GROUPS; g++) {
                multiply(score, queries.fragments[2 * g], keys[j][g].x, keys[j][g].y, static_cast<T*>(nullptr));
                multiply(score, queries.fragments[2 * g + 1], keys[j][g].z, keys[j][g].w, static_cast<T*>(nullptr));
            }
        }
    }

    uint32_t weights[TOKEN_GROUPS][2];
#pragma unroll
    for (int q = 0; q < 2; q++) {
        float largest = NEGATIVE_INFINITY;
#pragma unroll
        for (int j = 0; j < TOKEN_GROUPS; j++) {
#pragma unroll
            for (int x = 0; x < 2; x++) {
                int token = start + 8 * j + 2 * c + x;
                bool seen = token >= sight[q].from && token < sight[q].to && token < end;
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
            weights[j][q] = Element<T>::narrow2(first, second);
        }
        sum = __fadd_rn(sum, __shfl_xor_sync(FULL_WARP, sum, 1));
        sum = __fadd_rn(sum, __shfl_xor_sync(FULL_WARP, sum, 2));
        partial.largest[q] = largest;
        partial.sum[q] = sum;
    }

#pragma unroll
    for (int i = 0; i < HALVES; i++) {
#pragma unroll
        for (int j = 0; j < 8; j++) {
            partial.acc[i][j][0] = partial.acc[i][j][1] = partial.acc[i][j][2] = partial.acc[i][j][3] = 0.0f;
        }
    }
#pragma unroll
    for (int k = 0; k < TILE_TOKENS / 16; k++) {
        const uint32_t a[4] = {weights[2 * k][0], weights[2 * k][1], weights[2 * k + 1][0], weights[2 * k + 1][1]};
        const T* value[4];
#pragma unroll
        for (int v = 0; v < 4; v++) {
            unsigned long long row = rows.of(16 * k + 2 * c + (v & 1) + (v & 2) * 4);
            value[v] = row == 0 ? nullptr : reinterpret_cast<const T*>(row) + valueOffset;
        }
#pragma unroll
        for (int i = 0; i < HALVES; i++) {
            uint4 chunk[4];
#pragma unroll
            for (int v = 0; v < 4; v++) {
                chunk[v] = loadChunk<T, VECTORS>(value[v], 64 * i + 8 * e, call.headSize);
            }
            const uint32_t* word0 = &chunk[0].x;
            const uint32_t* word1 = &chunk[1].x;
            const uint32_t* word2 = &chunk[2].x;
            const uint32_t* word3 = &chunk[3].x;
#pragma unroll
            for (int w = 0; w < 4; w++) {
                multiply(partial.acc[i][2 * w], a, __byte_perm(word0[w], word1[w], 0x5410),
                         __byte_perm(word2[w], word3[w], 0x5410), static_cast<T*>(nullptr));
                multiply(partial.acc[i][2 * w + 1], a, __byte_perm(word0[w], word1[w], 0x7632),
                         __byte_perm(word2[w], word3[w], 0x7632), static_cast<T*>(nullptr));
            }
        }
    }
}

// The factors of a merge of a state with a partial: state = state * before + partial * now. A partial of nothing has the
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

    // The factors that another lane has.
    __device__ __forceinline__ Merge(const Merge& merge, int lane)
        : before(__shfl_sync(FULL_WARP, merge.before, lane)), now(__shfl_sync(FULL_WARP, merge.now, lane)) {}

    __device__ __forceinline__ float operator()(float state, float partial) const {
        return __fmaf_rn(partial, now, __fmul_rn(state, before));
    }
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

// Spans of many rows: a warp takes 16 queries through all tiles that they see and keeps their state in registers.
// Grid: (query tiles / WARPS, K/V heads, spans).
template <typename T, int GROUPS, bool VECTORS>
__device__ __forceinline__ void attendMany(const Call<T>& call) {
    constexpr int HALVES = Partial<GROUPS>::HALVES;
    Span span(call.spans + SPAN_INTS * blockIdx.z);
    if (span.rows <= call.fewRows) {
        return;
    }
    int group = call.heads / call.keyValueHeads;
    int keyValueHead = blockIdx.y;
    int queries = span.rows * group;
    int lane = threadIdx.x % 32;
    int c = lane % 4;
    // The last rows see most, so they start first.
    int queryTile = (gridDim.x - 1 - blockIdx.x) * WARPS + threadIdx.x / 32;
    int query[2] = {queryTile * TILE_QUERIES + lane / 4, queryTile * TILE_QUERIES + lane / 4 + 8};
    if (queryTile * TILE_QUERIES >= queries) {
        return;
    }
    const Sight sight[2] = {sightOf(call, span, query[0], queries, group),
                            sightOf(call, span, query[1], queries, group)};
    int from = warpLeast(sight[0].from < sight[1].from ? sight[0].from : sight[1].from);
    int to = warpMost(sight[0].to > sight[1].to ? sight[0].to : sight[1].to);
    if (from >= to) {
        return;
    }

    Queries<T, GROUPS, VECTORS> fragments;
    fragments.load(queryRow(call, span, keyValueHead, query[0], queries, group),
                   queryRow(call, span, keyValueHead, query[1], queries, group), call.headSize);

    float acc[HALVES][8][4];
    float largest[2] = {NEGATIVE_INFINITY, NEGATIVE_INFINITY};
    float sum[2] = {0.0f, 0.0f};
#pragma unroll
    for (int q = 0; q < 2; q++) {
        const float* state = query[q] < queries ? stateRow(call, span, keyValueHead, query[q], group) : nullptr;
        if (state != nullptr) {
            largest[q] = state[call.headSize];
            sum[q] = state[call.headSize + 1];
        }
#pragma unroll
        for (int i = 0; i < HALVES; i++) {
#pragma unroll
            for (int j = 0; j < 8; j++) {
#pragma unroll
                for (int x = 0; x < 2; x++) {
                    int d = 64 * i + 8 * (2 * c + x) + j;
                    acc[i][j][2 * q + x] = state != nullptr && d < call.headSize ? state[d] : 0.0f;
                }
            }
        }
    }

    TileGrid grid(call.cellTokens);
    int lastTile = grid.tileOf(span.fromToken, to - 1);
    for (int tile = grid.tileOf(span.fromToken, from); tile <= lastTile; tile++) {
        Partial<GROUPS> partial;
        computeTile<T, GROUPS, VECTORS, 2>(call, span.sequence, keyValueHead, grid.start(span.fromToken, tile),
                                           grid.end(span.fromToken, tile), from, to, sight, fragments, partial);
#pragma unroll
        for (int q = 0; q < 2; q++) {
            Merge merge(largest[q], partial.largest[q]);
            largest[q] = fmaxf(largest[q], partial.largest[q]);
            sum[q] = merge(sum[q], partial.sum[q]);
#pragma unroll
            for (int i = 0; i < HALVES; i++) {
#pragma unroll
                for (int j = 0; j < 8; j++) {
#pragma unroll
                    for (int x = 0; x < 2; x++) {
                        acc[i][j][2 * q + x] = merge(acc[i][j][2 * q + x], partial.acc[i][j][2 * q + x]);
                    }
                }
            }
        }
    }

#pragma unroll
    for (int q = 0; q < 2; q++) {
        if (query[q] < queries) {
            float* state = stateRow(call, span, keyValueHead, query[q], group);
            if (c == 0) {
                state[call.headSize] = largest[q];
                state[call.headSize + 1] = sum[q];
            }
#pragma unroll
            for (int i = 0; i < HALVES; i++) {
#pragma unroll
                for (int j = 0; j < 8; j++) {
#pragma unroll
                    for (int x = 0; x < 2; x++) {
                        int d = 64 * i + 8 * (2 * c + x) + j;
                        if (d < call.headSize) {
                            state[d] = acc[i][j][2 * q + x];
                        }
                    }
                }
            }
        }
    }
}

// Where the partials of a span's few rows lie: (span, K/V head, query, tile), acc (HD) each, and behind all of them m
// and l as pairs.
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

// Spans of few rows: one warp a tile. Neighbouring warps take the heads of the same tokens, which lie side by side in
// memory. Grid: (K/V heads * query tiles / WARPS, tiles, spans).
template <typename T, int GROUPS, bool VECTORS>
__device__ __forceinline__ void attendFew(const Call<T>& call, const Partials& partials) {
    Span span(call.spans + SPAN_INTS * blockIdx.z);
    if (span.rows > call.fewRows) {
        return;
    }
    int group = call.heads / call.keyValueHeads;
    int item = blockIdx.x * WARPS + threadIdx.x / 32;
    int keyValueHead = item % call.keyValueHeads;
    int queryTile = item / call.keyValueHeads;
    int tile = blockIdx.y;
    TileGrid grid(call.cellTokens);
    int start = grid.start(span.fromToken, partials.firstTile + tile);
    int end = grid.end(span.fromToken, partials.firstTile + tile);
    int queries = span.rows * group;
    if (tile >= partials.tiles || start >= span.toToken || queryTile * TILE_QUERIES >= queries) {
        return;
    }
    int lane = threadIdx.x % 32;
    int query[2] = {queryTile * TILE_QUERIES + lane / 4, queryTile * TILE_QUERIES + lane / 4 + 8};
    const Sight sight[2] = {sightOf(call, span, query[0], queries, group),
                            sightOf(call, span, query[1], queries, group)};
    int from = warpLeast(sight[0].from < sight[1].from ? sight[0].from : sight[1].from);
    int to = warpMost(sight[0].to > sight[1].to ? sight[0].to : sight[1].to);
    if (from >= end || to <= start) {
        return;
    }
    Queries<T, GROUPS, VECTORS> fragments;
    fragments.load(queryRow(call, span, keyValueHead, query[0], queries, group),
                   queryRow(call, span, keyValueHead, query[1], queries, group), call.headSize);
    Partial<GROUPS> partial;
    computeTile<T, GROUPS, VECTORS, 4>(call, span.sequence, keyValueHead, start, end, from, to, sight, fragments,
                                       partial);
    int c = lane % 4;
#pragma unroll
    for (int q = 0; q < 2; q++) {
        if (query[q] < queries) {
            size_t slot = partials.slot(blockIdx.z, keyValueHead, call.keyValueHeads, query[q], tile);
            if (c == 0) {
                partials.sums[slot] = make_float2(partial.largest[q], partial.sum[q]);
            }
            float* acc = partials.acc + slot * call.headSize;
#pragma unroll
            for (int i = 0; i < Partial<GROUPS>::HALVES; i++) {
#pragma unroll
                for (int x = 0; x < 2; x++) {
                    int d = 64 * i + 8 * (2 * c + x);
#pragma unroll
                    for (int j = 0; j < 8; j += 4) {
                        if (VECTORS && d < call.headSize) {
                            *reinterpret_cast<float4*>(acc + d + j) =
                                make_float4(partial.acc[i][j][2 * q + x], partial.acc[i][j + 1][2 * q + x],
                                            partial.acc[i][j + 2][2 * q + x], partial.acc[i][j + 3][2 * q + x]);
                        } else {
#pragma unroll
                            for (int n = 0; n < 4; n++) {
                                if (d + j + n < call.headSize) {
                                    acc[d + j + n] = partial.acc[i][j + n][2 * q + x];
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

// Merges the partials of attendFew into the state, tile by tile. Grid: (queries, K/V heads, spans), a thread a column.
template <typename T>
__device__ __forceinline__ void mergeFew(const Call<T>& call, const Partials& partials) {
    constexpr int AHEAD = 32;
    Span span(call.spans + SPAN_INTS * blockIdx.z);
    int group = call.heads / call.keyValueHeads;
    int query = blockIdx.x;
    int queries = span.rows * group;
    if (span.rows > call.fewRows || query >= queries) {
        return;
    }
    Sight sight = sightOf(call, span, query, queries, group);
    if (sight.from >= sight.to) {
        return;
    }
    TileGrid grid(call.cellTokens);
    int firstTile = grid.tileOf(span.fromToken, sight.from) - partials.firstTile;
    int lastTile = grid.tileOf(span.fromToken, sight.to - 1) - partials.firstTile;
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
    float largest = state[call.headSize];
    float sum = state[call.headSize + 1];
    float acc = column ? state[d] : 0.0f;
    const float* columnAt = partials.acc + slot * call.headSize + d;
    // A lane has the sums of one tile, a thread its column of all of them; both are asked for one turn ahead.
    float2 nextSums;
    float nextAcc[AHEAD];
    auto ask = [&](int tile) {
        nextSums = tile + lane <= lastTile ? partials.sums[slot + tile + lane] : make_float2(NEGATIVE_INFINITY, 0.0f);
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            nextAcc[i] = column && tile + i <= lastTile ? columnAt[static_cast<size_t>(tile + i) * call.headSize] : 0.0f;
        }
    };
    ask(firstTile);
    __syncthreads();
    for (int tile = firstTile; tile <= lastTile; tile += AHEAD) {
        float2 sums = nextSums;
        float partialAcc[AHEAD];
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            partialAcc[i] = nextAcc[i];
        }
        ask(tile + AHEAD);
        // The largest score up to each tile does not wait for sums, nor do the factors of the merges.
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
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            Merge ofTile(merge, i);
            sum = ofTile(sum, __shfl_sync(FULL_WARP, sums.y, i));
            acc = ofTile(acc, partialAcc[i]);
        }
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
    const T *queries, float *state, const int *spans, const int *rowPositions, const unsigned long long *blockTable,  \
        int blocksPerSequence, unsigned long long closed, unsigned long long open, unsigned long long staged,         \
        unsigned long long recomputed, int heads, int keyValueHeads, int headSize, float scaleLog2, int window,       \
        int blockTokens, int cellTokens, int fewRows

#define CALL(T)                                                                                                       \
    Call<T> {                                                                                                         \
        queries, state, spans, rowPositions, blockTable, blocksPerSequence, {closed, open, staged, recomputed},       \
            heads, keyValueHeads, headSize, scaleLog2, window, blockTokens, cellTokens, fewRows                       \
    }

#define PARTIALS_PARAMETERS float *partialAcc, float2 *partialSums, int partialQueries, int tiles, int firstTile

#define PARTIALS                                                \
    Partials {                                                  \
        partialAcc, partialSums, partialQueries, tiles, firstTile \
    }

// Head sizes up to 32 * GROUPS, in 16-byte chunks; `any` takes what is not a multiple of eight elements.
#define ATTENTION_KERNELS(NAME, T, SIZE, GROUPS, VECTORS, FEW_BLOCKS, MANY_BLOCKS)                                    \
    extern "C" __global__ void __launch_bounds__(32 * WARPS, MANY_BLOCKS)                                             \
        attend_many_##SIZE##_##NAME(CALL_PARAMETERS(T)) {                                                             \
        beginKernel();                                                                                                \
        attendMany<T, GROUPS, VECTORS>(CALL(T));                                                                      \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(32 * WARPS, FEW_BLOCKS)                                              \
        attend_few_##SIZE##_##NAME(CALL_PARAMETERS(T), PARTIALS_PARAMETERS) {                                         \
        beginKernel();                                                                                                \
        attendFew<T, GROUPS, VECTORS>(CALL(T), PARTIALS);                                                             \
    }

#define ALL_ATTENTION_KERNELS(NAME, T)                                                             \
    ATTENTION_KERNELS(NAME, T, 32, 1, true, 4, 4)                                                  \
    ATTENTION_KERNELS(NAME, T, 64, 2, true, 4, 3)                                                  \
    ATTENTION_KERNELS(NAME, T, 96, 3, true, 3, 2)                                                  \
    ATTENTION_KERNELS(NAME, T, 128, 4, true, 3, 2)                                                 \
    ATTENTION_KERNELS(NAME, T, 256, 8, true, 2, 2)                                                 \
    ATTENTION_KERNELS(NAME, T, any, 8, false, 2, 2)                                                \
    extern "C" __global__ void __launch_bounds__(256)                                              \
        merge_few_##NAME(CALL_PARAMETERS(T), PARTIALS_PARAMETERS) {                                \
        beginKernel();                                                                             \
        mergeFew<T>(CALL(T), PARTIALS);                                                            \
    }

ALL_ATTENTION_KERNELS(f16, __half)
ALL_ATTENTION_KERNELS(bf16, __nv_bfloat16)
