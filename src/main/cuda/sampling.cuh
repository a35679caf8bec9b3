// Tokens from logits: one block of 1024 threads per row, of any width up to 2^22.
//
// A token's weight is e^((score - largest score) / temperature) in fp32, computed by the operations of FloatMath.java.
// Its key is the weight's bits: weights are not negative, so keys have the order of weights. Mass is counted in whole
// units; a weight of 1 has 2^40. Sums of whole numbers do not depend on their order, so a token depends on its row
// alone and is the one that TokenSampler.java chooses.
//
// Top-k and top-p look for the smallest key that is kept, two bits at a time from the top: a pass over the weights adds
// up those at or above each of the three candidates. Nothing is sorted, and no part of the row is held in shared
// memory.
#pragma once

#include "common.cuh"

namespace weft {

constexpr int SAMPLE_THREADS = 1024;
constexpr int SAMPLE_WARPS = SAMPLE_THREADS / 32;

// The share of everything, in units of 2^-63.
constexpr unsigned long long WHOLE = 0x7fffffffffffffffull;

// The token of a row with a NaN among its logits, as in TokenChoices.java.
constexpr int NO_TOKEN = -1;

// The mask of a row that may have any token.
constexpr int NO_MASK = -1;

// The layout that TokenChoices.java writes.
struct ChoiceRow {
    unsigned long long uniform;
    unsigned long long topP;
    int firstEdit;
    int edits;
    int topK;
    float inverseTemperature;
    float minP;
    int mask;
};

struct LogitEdit {
    int token;
    float bias;
    float repetitionPenalty;
    float penalty;
};

// The tokens that are kept: all with larger keys, and the first ones with this key.
struct Cut {
    int key;
    int ties;
};

constexpr int KEY_BITS = 30;  // of a weight up to 1
constexpr int DIGIT_BITS = 2;
constexpr int CANDIDATES = (1 << DIGIT_BITS) - 1;

struct SampleMemory {
    unsigned long long sums[CANDIDATES][SAMPLE_WARPS];
    float scores[SAMPLE_WARPS];
    int tokens[SAMPLE_WARPS];
};

__device__ __forceinline__ float boundedScore(float x) {
    constexpr float MOST = 3.402823466e38f;
    return fminf(fmaxf(x, -MOST), MOST);
}

__device__ __forceinline__ float editedScore(float logit, const LogitEdit& edit) {
    float x = __fadd_rn(logit, edit.bias);
    x = x > 0.0f ? __fdiv_rn(x, edit.repetitionPenalty) : __fmul_rn(x, edit.repetitionPenalty);
    return boundedScore(__fsub_rn(x, edit.penalty));
}

// e^x for x <= 0, 0 below -87.33: FloatMath.exp, bit for bit.
__device__ __forceinline__ float exactExp(float x) {
    constexpr float ROUNDER = 12582912.0f;
    if (!(x >= -87.33f)) {
        return 0.0f;
    }
    float rounded = __fmaf_rn(x, 1.44269504f, ROUNDER);
    float n = __fsub_rn(rounded, ROUNDER);
    float r = __fmaf_rn(n, 2.12194440e-4f, __fmaf_rn(n, -0.693359375f, x));
    float p = __fmaf_rn(1.9875691500e-4f, r, 1.3981999507e-3f);
    p = __fmaf_rn(p, r, 8.3334519073e-3f);
    p = __fmaf_rn(p, r, 4.1665795894e-2f);
    p = __fmaf_rn(p, r, 1.6666665459e-1f);
    p = __fmaf_rn(p, r, 5.0000001201e-1f);
    float y = __fadd_rn(__fmaf_rn(p, __fmul_rn(r, r), r), 1.0f);
    int exponent = __float_as_int(rounded) - __float_as_int(ROUNDER) + 127;
    return __fmul_rn(y, __int_as_float(exponent << 23));
}

__device__ __forceinline__ int keyOf(float weight) {
    return __float_as_int(weight);
}

__device__ __forceinline__ unsigned long long units(int key) {
    return __float2ull_rz(__fmul_rn(__int_as_float(key), 1099511627776.0f));
}

// The sums over a block, the same in every thread. They are whole numbers, so the order does not matter.
template <int N>
__device__ __forceinline__ void blockSums(unsigned long long (&x)[N], SampleMemory& shared) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < N; i++) {
#pragma unroll
        for (int half = 16; half > 0; half /= 2) {
            x[i] += __shfl_xor_sync(FULL_WARP, x[i], half);
        }
    }
    __syncthreads();
    if (lane == 0) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            shared.sums[i][threadIdx.x / 32] = x[i];
        }
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < N; i++) {
        x[i] = shared.sums[i][lane];
#pragma unroll
        for (int half = 16; half > 0; half /= 2) {
            x[i] += __shfl_xor_sync(FULL_WARP, x[i], half);
        }
    }
}

// The sum over this lane and those before it.
template <typename N>
__device__ __forceinline__ N warpScan(N x) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int distance = 1; distance < 32; distance *= 2) {
        N before = __shfl_up_sync(FULL_WARP, x, distance);
        x += lane >= distance ? before : N(0);
    }
    return x;
}

// The smallest id among the largest scores, and that score, in every thread.
__device__ __forceinline__ int likeliest(const float* scores, int width, SampleMemory& shared, float& largest) {
    float best = NEGATIVE_INFINITY;
    int token = 0x7fffffff;
    auto take = [&](float score, int at) {
        if (score > best || (score == best && at < token)) {
            best = score;
            token = at;
        }
    };
    for (int j = threadIdx.x; j < width; j += SAMPLE_THREADS) {
        take(scores[j], j);
    }
    auto takeLanes = [&]() {
#pragma unroll
        for (int half = 16; half > 0; half /= 2) {
            float score = __shfl_xor_sync(FULL_WARP, best, half);
            int at = __shfl_xor_sync(FULL_WARP, token, half);
            take(score, at);
        }
    };
    takeLanes();
    if (threadIdx.x % 32 == 0) {
        shared.scores[threadIdx.x / 32] = best;
        shared.tokens[threadIdx.x / 32] = token;
    }
    __syncthreads();
    best = shared.scores[threadIdx.x % 32];
    token = shared.tokens[threadIdx.x % 32];
    takeLanes();
    largest = best;
    return token;
}

struct CountMeasure {
    static __device__ __forceinline__ unsigned long long of(int) { return 1; }
};

struct MassMeasure {
    static __device__ __forceinline__ unsigned long long of(int key) { return units(key); }
};

// The fewest of the likeliest tokens whose measure reaches `wanted`; that of all tokens does.
template <typename Measure>
__device__ __forceinline__ Cut findCut(const float* weights, int width, unsigned long long wanted, SampleMemory& shared) {
    int key = 0;
    unsigned long long above = 0;
    for (int shift = KEY_BITS - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
        unsigned long long sums[CANDIDATES] = {};
#pragma unroll 4
        for (int j = threadIdx.x; j < width; j += SAMPLE_THREADS) {
            int mine = keyOf(weights[j]);
            int digit = (mine - key) >> shift;
            unsigned long long measure = Measure::of(mine);
#pragma unroll
            for (int i = 0; i < CANDIDATES; i++) {
                sums[i] += digit > i ? measure : 0;
            }
        }
        blockSums(sums, shared);
        int digit = 0;
        unsigned long long beyond = sums[0];
#pragma unroll
        for (int i = 0; i < CANDIDATES; i++) {
            if (sums[i] >= wanted) {
                digit = i + 1;
                beyond = i + 1 < CANDIDATES ? sums[(i + 1) % CANDIDATES] : above;
            }
        }
        above = beyond;
        key += digit << shift;
    }
    unsigned long long each = Measure::of(key);
    return {key, static_cast<int>((wanted - above + each - 1) / each)};
}

// The fewest of the likeliest kept tokens that hold the share `topP` of their mass.
__device__ __forceinline__ Cut cutMass(const float* weights, int width, Cut kept, unsigned long long topP,
                                       SampleMemory& shared) {
    unsigned long long mass[1] = {};
#pragma unroll 4
    for (int j = threadIdx.x; j < width; j += SAMPLE_THREADS) {
        int key = keyOf(weights[j]);
        mass[0] += key > kept.key ? units(key) : 0;
    }
    blockSums(mass, shared);
    mass[0] += kept.ties * units(kept.key);
    return findCut<MassMeasure>(weights, width, max(1ull, __umul64hi(mass[0] << 1, topP)), shared);
}

// The first token, in id order, with which the mass of those kept exceeds its share `uniform`. Each warp adds up a
// range of neighbours; the warp whose range holds the token looks for it.
__device__ __forceinline__ void drawToken(const float* weights, int width, Cut cut, unsigned long long uniform, int* token,
                                          SampleMemory& shared) {
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    int stretch = (width + SAMPLE_WARPS - 1) / SAMPLE_WARPS;
    int from = min(width, warp * stretch);
    int to = min(width, from + stretch);
    unsigned long long mass = 0;
    int ties = 0;
#pragma unroll 4
    for (int j = from + lane; j < to; j += 32) {
        int key = keyOf(weights[j]);
        mass += key > cut.key ? units(key) : 0;
        ties += key == cut.key;
    }
#pragma unroll
    for (int half = 16; half > 0; half /= 2) {
        mass += __shfl_xor_sync(FULL_WARP, mass, half);
        ties += __shfl_xor_sync(FULL_WARP, ties, half);
    }
    __syncthreads();
    if (lane == 0) {
        shared.sums[0][warp] = mass;
        shared.tokens[warp] = ties;
    }
    __syncthreads();
    // From here on, a lane represents a range.
    ties = shared.tokens[lane];
    int tiesLeft = cut.ties - (warpScan(ties) - ties);
    mass = shared.sums[0][lane] + max(0, min(tiesLeft, ties)) * units(cut.key);
    unsigned long long upTo = warpScan(mass);
    unsigned long long all = __shfl_sync(FULL_WARP, upTo, 31);
    unsigned long long target = __umul64hi(all << 1, uniform);
    int owner = __ffs(__ballot_sync(FULL_WARP, upTo > target)) - 1;
    target -= __shfl_sync(FULL_WARP, upTo - mass, owner);
    tiesLeft = __shfl_sync(FULL_WARP, tiesLeft, owner);
    if (warp != owner) {
        return;
    }
    // From here on, a lane represents a token again.
    for (int first = from; first < to; first += 32) {
        int key = first + lane < to ? keyOf(weights[first + lane]) : -1;
        unsigned tied = __ballot_sync(FULL_WARP, key == cut.key);
        int tiesBefore = __popc(tied & ((1u << lane) - 1));
        bool kept = key > cut.key || (key == cut.key && tiesBefore < tiesLeft);
        upTo = warpScan(kept ? units(key) : 0ull);
        unsigned reached = __ballot_sync(FULL_WARP, upTo > target);
        if (reached != 0) {
            if (lane == 0) {
                *token = first + __ffs(reached) - 1;
            }
            return;
        }
        target -= __shfl_sync(FULL_WARP, upTo, 31);
        tiesLeft -= __popc(tied);
    }
}

// logits (rows, width), scores (rows, width) fp32, overwritten, tokens (rows). The block reads what a thread writes to
// global memory after __syncthreads().
template <typename T>
__device__ __forceinline__ void chooseToken(const T* logits, const ChoiceRow* choices, const LogitEdit* edits,
                                            const unsigned* masks, int maskWords, float* scores, int* tokens, int width,
                                            longlong2* fault) {
    __shared__ SampleMemory shared;
    const ChoiceRow choice = choices[blockIdx.x];
    const unsigned* mask = choice.mask == NO_MASK ? nullptr : masks + static_cast<size_t>(choice.mask) * maskWords;
    auto allowed = [&](int token) { return mask == nullptr || (mask[token / 32] >> (token % 32) & 1) != 0; };
    const T* row = logits + static_cast<size_t>(blockIdx.x) * width;
    float* values = scores + static_cast<size_t>(blockIdx.x) * width;
    bool notANumber = false;
#pragma unroll 4
    for (int j = threadIdx.x; j < width; j += SAMPLE_THREADS) {
        float logit = Element<T>::widen(row[j]);
        notANumber |= isnan(logit);
        values[j] = allowed(j) ? boundedScore(logit) : NEGATIVE_INFINITY;
    }
    if (__syncthreads_or(notANumber)) {
        if (threadIdx.x == 0) {
            tokens[blockIdx.x] = NO_TOKEN;
        }
        return;
    }
    for (int i = threadIdx.x; i < choice.edits; i += SAMPLE_THREADS) {
        const LogitEdit edit = edits[choice.firstEdit + i];
        if (edit.token < 0 || edit.token >= width) {
            report(fault, EDITED_TOKEN, blockIdx.x, edit.token);
        } else if (allowed(edit.token)) {
            values[edit.token] = editedScore(Element<T>::widen(row[edit.token]), edit);
        }
    }
    __syncthreads();
    float largest;
    int first = likeliest(values, width, shared, largest);
    if (choice.topK == 1) {
        if (threadIdx.x == 0) {
            tokens[blockIdx.x] = first;
        }
        return;
    }
    // Weights replace scores; a thread reads here what it wrote.
#pragma unroll 4
    for (int j = threadIdx.x; j < width; j += SAMPLE_THREADS) {
        float score = values[j];
        float x = score == largest ? 0.0f : __fmul_rn(__fsub_rn(score, largest), choice.inverseTemperature);
        values[j] = exactExp(x);
    }
    __syncthreads();
    Cut cut = {0, width};
    if (choice.topK < width) {
        cut = findCut<CountMeasure>(values, width, choice.topK, shared);
    }
    if (choice.topP < WHOLE) {
        cut = cutMass(values, width, cut, choice.topP, shared);
    }
    int least = __float_as_int(choice.minP);
    if (least > cut.key) {
        cut = {least, width};
    }
    drawToken(values, width, cut, choice.uniform, tokens + blockIdx.x, shared);
}

}  // namespace weft

#define SAMPLING_KERNELS(NAME, T)                                                                                     \
    extern "C" __global__ void __launch_bounds__(1024)                                                                \
        choose_tokens_##NAME(const T* logits, const ChoiceRow* choices, const LogitEdit* edits,                       \
                             const unsigned* masks, int maskWords, float* scores, int* tokens, int width,             \
                             longlong2* fault) {                                                                      \
        beginKernel();                                                                                                \
        chooseToken<T>(logits, choices, edits, masks, maskWords, scores, tokens, width, fault);                       \
    }

FOR_ELEMENT_TYPES(SAMPLING_KERNELS)
