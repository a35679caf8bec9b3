// Kernels that treat each row by itself: a row's result depends on nothing but the row.
#pragma once

#include "common.cuh"

namespace weft {

enum Activation { RELU = 0, SILU = 1, GELU = 2, GELU_TANH = 3 };

__device__ __forceinline__ float activate(int activation, float x) {
    switch (activation) {
        case RELU:
            return fmaxf(x, 0.0f);
        case SILU:
            return x / (1.0f + expf(-x));
        case GELU:
            return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
        default:
            return 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    }
}

// out[r] = scale * tokens[ids[r]] + positions[places[r] + positionOffset]; one block per row. It is a step's first
// kernel after the one that brings the index arrays. Later kernels read these before they wait, so this kernel lets
// them start only after it has waited itself.
template <typename T>
__device__ __forceinline__ void embed(const T* tokens, int vocabulary, const T* positions, int positionRows,
                                      int positionOffset, float scale, const int* ids, const int* places, T* out,
                                      int width, int vectors, longlong2* fault) {
    int row = blockIdx.x;
    int id = ids[row];
    if (id < 0 || id >= vocabulary) {
        if (threadIdx.x == 0) {
            report(fault, TOKEN_ID, row, id);
        }
        return;
    }
    const T* learned = nullptr;
    if (positions != nullptr) {
        int place = places[row] + positionOffset;
        if (place < 0 || place >= positionRows) {
            if (threadIdx.x == 0) {
                report(fault, LEARNED_POSITION, row, places[row]);
            }
            return;
        }
        learned = positions + static_cast<size_t>(place) * width;
    }
    const T* token = tokens + static_cast<size_t>(id) * width;
    T* to = out + static_cast<size_t>(row) * width;
    for (int j = threadIdx.x * VECTOR; j < width; j += blockDim.x * VECTOR) {
        float x[VECTOR];
        load8(token + j, width - j, vectors, x);
        float p[VECTOR] = {};
        if (learned != nullptr) {
            load8(learned + j, width - j, vectors, p);
        }
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            x[i] = x[i] * scale + p[i];
        }
        store8(to + j, width - j, vectors, x);
    }
}

__device__ __forceinline__ float warpSum(float x) {
#pragma unroll
    for (int half = 16; half > 0; half /= 2) {
        x += __shfl_xor_sync(FULL_WARP, x, half);
    }
    return x;
}

// The sum over a block, the same in every thread: lanes in a tree, then warps in a tree. No other sum uses `warps`.
__device__ __forceinline__ float blockSum(float x, float* warps) {
    x = warpSum(x);
    if (threadIdx.x % 32 == 0) {
        warps[threadIdx.x / 32] = x;
    }
    __syncthreads();
    return warpSum(threadIdx.x % 32 < blockDim.x / 32 ? warps[threadIdx.x % 32] : 0.0f);
}

// A thread keeps its elements of the row in registers: ROW_VECTORS times eight.
constexpr int ROW_VECTORS = 2;

struct LayerNormKind {
    static constexpr bool CENTRED = true;
};
struct RmsNormKind {
    static constexpr bool CENTRED = false;
};

// What becomes of a normed row: it replaces `to`, or to = scale * (to + factor * it).
struct Replace {
    static constexpr bool ADDS = false;
    float factor = 1.0f;
    float scale = 1.0f;
};
struct Add {
    static constexpr bool ADDS = true;
    float factor;
    float scale;
};

// A block, or with IN_WARP a warp, normalises one row, `from`. A block has at least width / (VECTOR * ROW_VECTORS)
// threads, a number that depends on the width alone, and so does the order of the sums. No kernel writes gain and bias,
// so the first of them are requested before the preceding kernel has ended. A row that does not exist is null.
template <typename T, typename Kind, bool IN_WARP, typename Use>
__device__ __forceinline__ void normRow(const T* from, T* to, const float* gain, const float* bias, int width,
                                        float epsilon, float gainOffset, int vectors, const Use& use) {
    __shared__ float sums[32];
    __shared__ float squareSums[32];
    int thread = IN_WARP ? threadIdx.x % 32 : threadIdx.x;
    int threads = IN_WARP ? 32 : blockDim.x;
    letNextKernelStart();
    float firstGain[VECTOR];
    float firstBias[VECTOR];
    int first = thread * VECTOR;
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        firstGain[i] = first + i < width ? gain[first + i] : 0.0f;
        firstBias[i] = first + i < width ? bias[first + i] : 0.0f;
    }
    awaitEarlierKernels();
    if (IN_WARP && from == nullptr) {
        return;
    }
    float x[ROW_VECTORS][VECTOR];
    float old[VECTOR];
    float sum = 0.0f;
#pragma unroll
    for (int v = 0; v < ROW_VECTORS; v++) {
        int j = (v * threads + thread) * VECTOR;
        if (j < width) {
            load8(from + j, width - j, vectors, x[v]);
            if (Use::ADDS && v == 0) {
                load8(to + j, width - j, vectors, old);
            }
#pragma unroll
            for (int i = 0; i < VECTOR; i++) {
                sum += x[v][i];
            }
        }
    }
    float mean = 0.0f;
    if (Kind::CENTRED) {
        mean = (IN_WARP ? warpSum(sum) : blockSum(sum, sums)) / width;
    }
    float squares = 0.0f;
#pragma unroll
    for (int v = 0; v < ROW_VECTORS; v++) {
        int j = (v * threads + thread) * VECTOR;
        if (j < width) {
#pragma unroll
            for (int i = 0; i < VECTOR; i++) {
                if (j + i < width) {
                    float deviation = x[v][i] - mean;
                    squares += deviation * deviation;
                }
            }
        }
    }
    float square = (IN_WARP ? warpSum(squares) : blockSum(squares, squareSums)) / width;
    float factor = 1.0f / sqrtf(square + epsilon);
#pragma unroll
    for (int v = 0; v < ROW_VECTORS; v++) {
        int j = (v * threads + thread) * VECTOR;
        if (j < width) {
            if (Use::ADDS && v > 0) {
                load8(to + j, width - j, vectors, old);
            }
#pragma unroll
            for (int i = 0; i < VECTOR; i++) {
                if (j + i < width) {
                    float g = v == 0 ? firstGain[i] : gain[j + i];
                    float b = v == 0 ? firstBias[i] : bias[j + i];
                    x[v][i] = (x[v][i] - mean) * factor * (g + gainOffset) + b;
                    if (Use::ADDS) {
                        x[v][i] = use.scale * (old[i] + use.factor * x[v][i]);
                    }
                }
            }
            store8(to + j, width - j, vectors, x[v]);
        }
    }
}

// One block per row.
template <typename T, typename Kind>
__device__ __forceinline__ void norm(const T* in, T* out, const float* gain, const float* bias, int width,
                                     float epsilon, float gainOffset, int vectors) {
    size_t at = static_cast<size_t>(blockIdx.x) * width;
    normRow<T, Kind, false>(in + at, out + at, gain, bias, width, epsilon, gainOffset, vectors, Replace{});
}

// to = scale * (to + factor * norm(in)); one block per row.
template <typename T, typename Kind>
__device__ __forceinline__ void addNorm(const T* in, T* to, const float* gain, const float* bias, int width,
                                        float epsilon, float gainOffset, float factor, float scale, int vectors) {
    size_t at = static_cast<size_t>(blockIdx.x) * width;
    normRow<T, Kind, false>(in + at, to + at, gain, bias, width, epsilon, gainOffset, vectors, Add{factor, scale});
}

// Normalises heads at the start of each row; one warp per head. `from` and `to` may be the same rows. `gainStride` is 0
// if the heads share gain and bias, else headSize.
template <typename T, typename Kind>
__device__ __forceinline__ void normHeads(const T* from, int fromWidth, T* to, int toWidth, int heads, int headSize,
                                          int rows, const float* gain, const float* bias, int gainStride,
                                          float epsilon, float gainOffset, int vectors) {
    long long item = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
    long long row = item / heads;
    int head = static_cast<int>(item % heads);
    const T* in = row < rows ? from + row * fromWidth + head * headSize : nullptr;
    T* out = row < rows ? to + row * toWidth + head * headSize : nullptr;
    normRow<T, Kind, true>(in, out, gain + head * gainStride, bias + head * gainStride, headSize, epsilon, gainOffset,
                           vectors, Replace{});
}

// The same for heads that are too large for a warp; block (r, h) takes head h of row r.
template <typename T, typename Kind>
__device__ __forceinline__ void normParts(const T* from, int fromWidth, T* to, int toWidth, int headSize,
                                          const float* gain, const float* bias, int gainStride, float epsilon,
                                          float gainOffset, int vectors) {
    int head = blockIdx.y;
    const T* in = from + static_cast<size_t>(blockIdx.x) * fromWidth + head * headSize;
    T* out = to + static_cast<size_t>(blockIdx.x) * toWidth + head * headSize;
    normRow<T, Kind, false>(in, out, gain + head * gainStride, bias + head * gainStride, headSize, epsilon, gainOffset,
                            vectors, Replace{});
}

// out[r, j] = activation(gateUp[r, j]) * gateUp[r, width + j]; eight elements per thread.
template <typename T>
__device__ __forceinline__ void gate(const T* gateUp, T* out, int rows, int width, int activation, int vectors) {
    int perRow = (width + VECTOR - 1) / VECTOR;
    long long item = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    long long row = item / perRow;
    if (row >= rows) {
        return;
    }
    int j = static_cast<int>(item % perRow) * VECTOR;
    float x[VECTOR];
    float up[VECTOR];
    load8(gateUp + row * 2 * width + j, width - j, vectors, x);
    load8(gateUp + row * 2 * width + width + j, width - j, vectors, up);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        x[i] = activate(activation, x[i]) * up[i];
    }
    store8(out + row * width + j, width - j, vectors, x);
}

// values = activation(values), in place; eight elements per thread.
template <typename T>
__device__ __forceinline__ void activateAll(T* values, long long count, int activation, int vectors) {
    long long j = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * VECTOR;
    if (j >= count) {
        return;
    }
    int left = count - j < VECTOR ? static_cast<int>(count - j) : VECTOR;
    bool whole = vectors && left == VECTOR;
    float x[VECTOR];
    load8(values + j, left, whole, x);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        x[i] = activate(activation, x[i]);
    }
    store8(values + j, left, whole, x);
}

// to += from, where `from` is a rounded product; eight elements per thread.
template <typename T>
__device__ __forceinline__ void addAll(T* to, const T* from, long long count, int vectors) {
    long long j = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * VECTOR;
    if (j >= count) {
        return;
    }
    int left = count - j < VECTOR ? static_cast<int>(count - j) : VECTOR;
    bool whole = vectors && left == VECTOR;
    float x[VECTOR];
    float y[VECTOR];
    load8(to + j, left, whole, x);
    load8(from + j, left, whole, y);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        x[i] = __fadd_rn(x[i], y[i]);
    }
    store8(to + j, left, whole, x);
}

// to = scale * (to + factor * from); eight elements per thread.
template <typename T>
__device__ __forceinline__ void addScaled(const T* from, T* to, long long count, float factor, float scale,
                                          int vectors) {
    long long j = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * VECTOR;
    if (j >= count) {
        return;
    }
    int left = count - j < VECTOR ? static_cast<int>(count - j) : VECTOR;
    bool whole = vectors && left == VECTOR;
    float x[VECTOR];
    float y[VECTOR];
    load8(to + j, left, whole, x);
    load8(from + j, left, whole, y);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        x[i] = scale * (x[i] + factor * y[i]);
    }
    store8(to + j, left, whole, x);
}

// values = cap * tanh(factor * values / cap), in place, or factor * values if the cap is 0; eight elements per thread.
template <typename T>
__device__ __forceinline__ void capLogits(T* values, long long count, float factor, float cap, int vectors) {
    long long j = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * VECTOR;
    if (j >= count) {
        return;
    }
    int left = count - j < VECTOR ? static_cast<int>(count - j) : VECTOR;
    bool whole = vectors && left == VECTOR;
    float x[VECTOR];
    load8(values + j, left, whole, x);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        x[i] = factor * x[i];
        x[i] = cap == 0.0f ? x[i] : cap * tanhf(x[i] / cap);
    }
    store8(values + j, left, whole, x);
}

// Rotates up to eight elements with their partners.
__device__ __forceinline__ void turn(const float* cosine, const float* sine, int count, float (&a)[VECTOR],
                                     float (&b)[VECTOR]) {
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        if (i < count) {
            float turned = a[i] * cosine[i] - b[i] * sine[i];
            b[i] = b[i] * cosine[i] + a[i] * sine[i];
            a[i] = turned;
        }
    }
}

// In the order of RotaryTable.Layout: angle j rotates dimensions j and j + half, or 2j and 2j + 1.
enum RotaryLayout { HALVES = 0, PAIRS = 1 };

// A rotary table: (positions, half) each.
struct Rotary {
    const float* cosines;
    const float* sines;
    int half;
    int positions;
    int layout;

    // Rotates by the angles [j, j + step) from `from` to `to`: one of them, or eight with `vectors`.
    template <typename T>
    __device__ __forceinline__ void turnPairs(const T* from, T* to, int j, int step, bool vectors, int position) const {
        size_t at = static_cast<size_t>(position) * half + j;
        float a[VECTOR];
        float b[VECTOR];
        if (layout == HALVES) {
            load8(from + j, step, vectors, a);
            load8(from + j + half, step, vectors, b);
            turn(cosines + at, sines + at, step, a, b);
            store8(to + j, step, vectors, a);
            store8(to + j + half, step, vectors, b);
            return;
        }
        // Two accesses hold the pairs one after the other; of a single pair, the first.
        float low[VECTOR];
        float high[VECTOR];
        load8(from + 2 * j, 2 * step, vectors, low);
        load8(from + 2 * j + VECTOR, 2 * step - VECTOR, vectors, high);
#pragma unroll
        for (int i = 0; i < VECTOR / 2; i++) {
            a[i] = low[2 * i];
            b[i] = low[2 * i + 1];
            a[i + VECTOR / 2] = high[2 * i];
            b[i + VECTOR / 2] = high[2 * i + 1];
        }
        turn(cosines + at, sines + at, step, a, b);
#pragma unroll
        for (int i = 0; i < VECTOR / 2; i++) {
            low[2 * i] = a[i];
            low[2 * i + 1] = b[i];
            high[2 * i] = a[i + VECTOR / 2];
            high[2 * i + 1] = b[i + VECTOR / 2];
        }
        store8(to + 2 * j, 2 * step, vectors, low);
        store8(to + 2 * j + VECTOR, 2 * step - VECTOR, vectors, high);
    }
};

// A thread rotates eight pairs, or one if they are unaligned.
template <typename T>
__device__ __forceinline__ void rotate(T* values, int rowWidth, int heads, int headSize, const Rotary& rotary,
                                       const int* positions, int rowsPerPosition, int rows, int vectors,
                                       longlong2* fault) {
    int step = vectors ? VECTOR : 1;
    int perHead = rotary.half / step;
    int perRow = heads * perHead;
    long long item = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    int row = static_cast<int>(item / perRow);
    if (row >= rows) {
        return;
    }
    int inRow = static_cast<int>(item % perRow);
    int position = positions[row / rowsPerPosition] + row % rowsPerPosition;
    if (position < 0 || position >= rotary.positions) {
        if (inRow == 0) {
            report(fault, ROTARY_POSITION, row, position);
        }
        return;
    }
    T* head = values + static_cast<size_t>(row) * rowWidth + inRow / perHead * headSize;
    rotary.turnPairs(head, head, inRow % perHead * step, step, vectors, position);
}

// Puts a row into the cache: rotates its queries in place and its keys during the copy, and copies K and V, then the
// activation, to the row's offsets from `base`. A thread takes eight elements (or pairs of rotated ones) at a time, or
// one if they are unaligned. It reads positions and offsets, which no kernel after the embedding writes, before the
// preceding kernel has ended. Grid: (rows, parts of a row).
template <typename T>
__device__ __forceinline__ void place(T* queries, const T* keyValues, const T* activations, int heads,
                                      int keyValueHeads, int headSize, int width, const Rotary& rotary,
                                      const int* positions, const long long* keyValueOffsets,
                                      const long long* activationOffsets, char* base, long long baseBytes, int vectors,
                                      longlong2* fault) {
    letNextKernelStart();
    int row = blockIdx.x;
    int thread = blockIdx.y * blockDim.x + threadIdx.x;
    int position = rotary.half > 0 ? positions[row] : 0;
    long long keyValueAt = keyValueOffsets[row];
    long long activationAt = width > 0 ? activationOffsets[row] : 0;
    awaitEarlierKernels();
    int keyWidth = keyValueHeads * headSize;
    long long keyValueBytes = 2 * keyWidth * static_cast<long long>(sizeof(T));
    long long activationBytes = width * static_cast<long long>(sizeof(T));
    if (rotary.half > 0 && (position < 0 || position >= rotary.positions)) {
        if (thread == 0) {
            report(fault, ROTARY_POSITION, row, position);
        }
        return;
    }
    bool fits = keyValueAt >= 0 && keyValueAt <= baseBytes - keyValueBytes;
    if (!fits || activationAt < 0 || activationAt > baseBytes - activationBytes) {
        if (thread == 0) {
            report(fault, SCATTER_OFFSET, row, fits ? activationAt : keyValueAt);
        }
        return;
    }
    bool whole = vectors && (keyValueAt | activationAt) % (VECTOR * sizeof(T)) == 0;
    int step = whole ? VECTOR : 1;
    const T* fromKeys = keyValues + 2 * static_cast<size_t>(row) * keyWidth;
    const T* fromActivation = activations + static_cast<size_t>(row) * width;
    T* toKeys = reinterpret_cast<T*>(base + keyValueAt);
    T* toActivation = reinterpret_cast<T*>(base + activationAt);
    T* query = queries + static_cast<size_t>(row) * heads * headSize;
    int pairs = rotary.half / step;
    int plain = (headSize - 2 * rotary.half) / step;
    int turned = (heads + keyValueHeads) * pairs;
    int copied = keyValueHeads * plain + keyWidth / step;
    auto copy = [&](const T* from, T* to) {
        if (whole) {
            *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
        } else {
            *to = *from;
        }
    };
    for (int item = thread; item < turned + copied + width / step; item += gridDim.y * blockDim.x) {
        if (item < turned) {
            int head = item / pairs;
            int j = item % pairs * step;
            if (head < heads) {
                rotary.turnPairs(query + head * headSize, query + head * headSize, j, step, whole, position);
            } else {
                int at = (head - heads) * headSize;
                rotary.turnPairs(fromKeys + at, toKeys + at, j, step, whole, position);
            }
        } else if (item < turned + copied) {
            int i = item - turned;
            int keys = keyValueHeads * plain;
            int at = i < keys ? i / plain * headSize + 2 * rotary.half + i % plain * step : keyWidth + (i - keys) * step;
            copy(fromKeys + at, toKeys + at);
        } else {
            int at = (item - turned - copied) * step;
            copy(fromActivation + at, toActivation + at);
        }
    }
}

// Copies a row of bytes, with accesses as wide as its alignment allows.
__device__ __forceinline__ void copyRow(const char* from, char* to, int bytes) {
    uintptr_t alignment = reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(to) | bytes;
    if (alignment % 16 == 0) {
        for (int i = threadIdx.x; i < bytes / 16; i += blockDim.x) {
            reinterpret_cast<uint4*>(to)[i] = reinterpret_cast<const uint4*>(from)[i];
        }
    } else if (alignment % 2 == 0) {
        for (int i = threadIdx.x; i < bytes / 2; i += blockDim.x) {
            reinterpret_cast<uint16_t*>(to)[i] = reinterpret_cast<const uint16_t*>(from)[i];
        }
    } else {
        for (int i = threadIdx.x; i < bytes; i += blockDim.x) {
            to[i] = from[i];
        }
    }
}

// Steele, Lea and Flood 2014 (SplitMix64); RandomTensor.java has the same function.
__device__ __forceinline__ uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

template <typename T>
__device__ __forceinline__ void fillRandom(T* out, long long count, long long seed, float centre, float scale) {
    long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
        // 24 random bits make a number in [-1, 1) that fp32 holds exactly.
        int bits = static_cast<int>(mix(static_cast<uint64_t>(seed) + static_cast<uint64_t>(i)) >> 40);
        float unit = static_cast<float>(bits - (1 << 23)) * (1.0f / (1 << 23));
        out[i] = Element<T>::narrow(__fadd_rn(centre, __fmul_rn(scale, unit)));
    }
}

template <typename From, typename To>
__device__ __forceinline__ void convert(const From* in, To* out, long long count) {
    long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
        out[i] = Element<To>::narrow(Element<From>::widen(in[i]));
    }
}

}  // namespace weft

using namespace weft;

#define FOR_ELEMENT_TYPES(KERNELS) \
    KERNELS(f16, __half)           \
    KERNELS(bf16, __nv_bfloat16)

#define POINTWISE_KERNELS(NAME, T)                                                                                    \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        embed_##NAME(const T* tokens, int vocabulary, const T* positions, int positionRows, int positionOffset,       \
                     float scale, const int* ids, const int* places, T* out, int width, int vectors,                  \
                     longlong2* fault) {                                                                              \
        awaitEarlierKernels();                                                                                        \
        letNextKernelStart();                                                                                         \
        embed<T>(tokens, vocabulary, positions, positionRows, positionOffset, scale, ids, places, out, width,         \
                 vectors, fault);                                                                                     \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(1024)                                                                \
        layer_norm_##NAME(const T* in, T* out, const float* gain, const float* bias, int width, float epsilon,        \
                          float gainOffset, int vectors) {                                                            \
        norm<T, LayerNormKind>(in, out, gain, bias, width, epsilon, gainOffset, vectors);                             \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(1024)                                                                \
        rms_norm_##NAME(const T* in, T* out, const float* gain, const float* bias, int width, float epsilon,          \
                        float gainOffset, int vectors) {                                                              \
        norm<T, RmsNormKind>(in, out, gain, bias, width, epsilon, gainOffset, vectors);                               \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        layer_norm_heads_##NAME(const T* from, int fromWidth, T* to, int toWidth, int heads, int headSize,            \
                             int rows, const float* gain, const float* bias, int gainStride, float epsilon,           \
                             float gainOffset, int vectors) {                                                         \
        normHeads<T, LayerNormKind>(from, fromWidth, to, toWidth, heads, headSize, rows, gain, bias,                  \
                                    gainStride, epsilon, gainOffset, vectors);                                        \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        rms_norm_heads_##NAME(const T* from, int fromWidth, T* to, int toWidth, int heads, int headSize,              \
                             int rows, const float* gain, const float* bias, int gainStride, float epsilon,           \
                             float gainOffset, int vectors) {                                                         \
        normHeads<T, RmsNormKind>(from, fromWidth, to, toWidth, heads, headSize, rows, gain, bias,                    \
                                    gainStride, epsilon, gainOffset, vectors);                                        \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(1024)                                                                \
        layer_norm_parts_##NAME(const T* from, int fromWidth, T* to, int toWidth, int headSize,                       \
                             const float* gain, const float* bias, int gainStride, float epsilon,                     \
                             float gainOffset, int vectors) {                                                         \
        normParts<T, LayerNormKind>(from, fromWidth, to, toWidth, headSize, gain, bias, gainStride,                   \
                                    epsilon, gainOffset, vectors);                                                    \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(1024)                                                                \
        rms_norm_parts_##NAME(const T* from, int fromWidth, T* to, int toWidth, int headSize,                         \
                             const float* gain, const float* bias, int gainStride, float epsilon,                     \
                             float gainOffset, int vectors) {                                                         \
        normParts<T, RmsNormKind>(from, fromWidth, to, toWidth, headSize, gain, bias, gainStride,                     \
                                    epsilon, gainOffset, vectors);                                                    \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(1024)                                                                \
        add_layer_norm_##NAME(const T* in, T* to, const float* gain, const float* bias, int width, float epsilon,     \
                              float gainOffset, float factor, float scale, int vectors) {                             \
        addNorm<T, LayerNormKind>(in, to, gain, bias, width, epsilon, gainOffset, factor, scale, vectors);            \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(1024)                                                                \
        add_rms_norm_##NAME(const T* in, T* to, const float* gain, const float* bias, int width, float epsilon,       \
                            float gainOffset, float factor, float scale, int vectors) {                               \
        addNorm<T, RmsNormKind>(in, to, gain, bias, width, epsilon, gainOffset, factor, scale, vectors);              \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        add_scaled_##NAME(const T* from, T* to, long long count, float factor, float scale, int vectors) {            \
        beginKernel();                                                                                                \
        addScaled<T>(from, to, count, factor, scale, vectors);                                                        \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        gate_##NAME(const T* gateUp, T* out, int rows, int width, int activation, int vectors) {                      \
        beginKernel();                                                                                                \
        gate<T>(gateUp, out, rows, width, activation, vectors);                                                       \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        activate_##NAME(T* values, long long count, int activation, int vectors) {                                    \
        beginKernel();                                                                                                \
        activateAll<T>(values, count, activation, vectors);                                                           \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        add_##NAME(T* to, const T* from, long long count, int vectors) {                                              \
        beginKernel();                                                                                                \
        addAll<T>(to, from, count, vectors);                                                                          \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        cap_logits_##NAME(T* values, long long count, float factor, float cap, int vectors) {                         \
        beginKernel();                                                                                                \
        capLogits<T>(values, count, factor, cap, vectors);                                                            \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        rotate_##NAME(T* values, int rowWidth, int heads, int headSize, const float* cosines, const float* sines,     \
                      int half, int tablePositions, int layout, const int* positions, int rowsPerPosition, int rows,  \
                      int vectors, longlong2* fault) {                                                                \
        beginKernel();                                                                                                \
        rotate<T>(values, rowWidth, heads, headSize, {cosines, sines, half, tablePositions, layout}, positions,               \
                  rowsPerPosition, rows, vectors, fault);                                                             \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        place_##NAME(T* queries, const T* keyValues, const T* activations, int heads, int keyValueHeads,              \
                     int headSize, int width, const float* cosines, const float* sines, int half,                     \
                     int tablePositions, int layout, const int* positions, const long long* keyValueOffsets,          \
                     const long long* activationOffsets, char* base, long long baseBytes, int vectors,                \
                     longlong2* fault) {                                                                              \
        place<T>(queries, keyValues, activations, heads, keyValueHeads, headSize, width,                              \
                 {cosines, sines, half, tablePositions, layout}, positions, keyValueOffsets, activationOffsets, base,         \
                 baseBytes, vectors, fault);                                                                          \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        fill_random_##NAME(T* out, long long count, long long seed, float centre, float scale) {                      \
        beginKernel();                                                                                                \
        fillRandom<T>(out, count, seed, centre, scale);                                                               \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        convert_f32_##NAME(const float* in, T* out, long long count) {                                                \
        beginKernel();                                                                                                \
        convert<float, T>(in, out, count);                                                                            \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        convert_f16_##NAME(const __half* in, T* out, long long count) {                                               \
        beginKernel();                                                                                                \
        convert<__half, T>(in, out, count);                                                                           \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        convert_bf16_##NAME(const __nv_bfloat16* in, T* out, long long count) {                                       \
        beginKernel();                                                                                                \
        convert<__nv_bfloat16, T>(in, out, count);                                                                    \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256) to_float_##NAME(const T* in, float* out, long long count) {     \
        beginKernel();                                                                                                \
        convert<T, float>(in, out, count);                                                                            \
    }

FOR_ELEMENT_TYPES(POINTWISE_KERNELS)

// Block (r, p) copies part p of row r.
extern "C" __global__ void __launch_bounds__(128)
    gather_rows(const char* values, long long valueBytes, int rowBytes, int partBytes, const long long* offsets,
                char* out, longlong2* fault) {
    beginKernel();
    int row = blockIdx.x;
    int part = blockIdx.y * partBytes;
    long long offset = offsets[row];
    if (offset < 0 || offset > valueBytes - rowBytes) {
        if (threadIdx.x == 0) {
            report(fault, GATHER_OFFSET, row, offset);
        }
        return;
    }
    copyRow(values + offset + part, out + static_cast<size_t>(row) * rowBytes + part, min(rowBytes - part, partBytes));
}

// Each block copies `partBytes` of host memory, which its threads read over the link themselves.
extern "C" __global__ void __launch_bounds__(128)
    read_host(const char* from, char* to, long long bytes, int partBytes) {
    beginKernel();
    long long at = static_cast<long long>(blockIdx.x) * partBytes;
    copyRow(from + at, to + at, static_cast<int>(min(bytes - at, static_cast<long long>(partBytes))));
}
