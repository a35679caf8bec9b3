// Quantised weights in device memory, and how they become elements of 16 bits: value = element((code - zero) * scale),
// computed in fp32 and rounded once. For codes without a zero it is element(code * scale).
//
// Codes of a matrix W (N, K) lie in tiles of eight rows of W, units of 512 bytes, and 16 bytes a lane:
//
//     bytes [((tile * units + unit) * 32 + lane) * 16, + 16),   tile = n / 8,  lane = n % 8 * 4 + q,
//
// where a unit holds 64 k of 8-bit codes or 128 k of 4-bit codes, and lane q of a row's four holds what the lane needs
// for mma.m16n8k16: of each sixteen k, those at 2 q, 2 q + 1, 2 q + 8 and 2 q + 9. So a warp reads a unit with one wide
// load a lane and multiplies what it has read. A 32-bit word is
//
//     of 8-bit codes: sixteen k; byte i is k = 2 q + {0, 1, 8, 9}[i];
//     of 4-bit codes: 32 k; nibbles i and i + 4 are k = 16 (i / 2) + 2 q + 8 (i % 2) and the next.
//
// Codes for k >= K are 0. Scales are words (tile, group, row % 8), group = k >> groupShift: fp32 for fp8 and fp4; for
// integers, 16 bits of scale, 8 bits of zero, and 1 in the highest 8 bits if the scale is bf16, 0 if it is fp16.
//
// QuantisedMemory.java has the same numbers.
#pragma once

#include "common.cuh"

namespace weft {

constexpr int UNIT_BYTES = 512;
constexpr int TILE_ROWS = 8;

// Two elements of the lower and upper byte of each half word: bytes 0 and 1 of `pair`, as fp16, divided by 2^8 unless
// the instruction set converts.
__device__ __forceinline__ float2 widenFp8(uint32_t pair) {
#if __CUDA_ARCH__ >= 890
    uint32_t halves;
    asm("{\n.reg .b16 both;\ncvt.u16.u32 both, %1;\ncvt.rn.f16x2.e4m3x2 %0, both;\n}" : "=r"(halves) : "r"(pair));
    return Element<__half>::widen2(halves);
#else
    // e4m3 shifted to the place of fp16 is the value / 2^8; only NaN is lost.
    uint32_t spread = __byte_perm(pair, 0, 0x1404);
    uint32_t halves = (spread & 0x80008000u) | ((spread & 0x7f007f00u) >> 1);
    float2 small = Element<__half>::widen2(halves);
    return make_float2(small.x * 256.0f, small.y * 256.0f);
#endif
}

// The fp4 numbers (e2m1) in the lowest nibbles of the two half words.
__device__ __forceinline__ float2 widenFp4(uint32_t nibbles) {
    // e2m1 shifted to the place of fp16 is the value / 2^14.
    uint32_t halves = ((nibbles & 0x00080008u) << 12) | ((nibbles & 0x00070007u) << 9);
    float2 small = Element<__half>::widen2(halves);
    return make_float2(small.x * 16384.0f, small.y * 16384.0f);
}

// The scale and the zero of an integer code's group.
struct IntegerScale {
    float scale;
    float zero;

    __device__ __forceinline__ explicit IntegerScale(uint32_t word) {
        uint16_t bits = static_cast<uint16_t>(word);
        scale = (word >> 24) != 0 ? __uint_as_float(word << 16)
                                  : __half2float(*reinterpret_cast<const __half*>(&bits));
        zero = static_cast<float>((word >> 16) & 0xff);
    }

    template <typename T>
    __device__ __forceinline__ uint32_t element2(uint32_t low, uint32_t high) const {
        return Element<T>::narrow2(__fmul_rn(static_cast<float>(low) - zero, scale),
                                   __fmul_rn(static_cast<float>(high) - zero, scale));
    }
};

// A kind of code. expand() makes the elements of a word: pairs of neighbouring k, in the order of the word. WORD_K is
// the number of k that four lanes' words cover.
struct Fp8 {
    static constexpr int BITS = 8;
    static constexpr int WORD_K = 16;

    template <typename T>
    static __device__ __forceinline__ void expand(uint32_t word, uint32_t scaleWord, uint32_t (&to)[2]) {
        float scale = __uint_as_float(scaleWord);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float2 pair = widenFp8(word >> (16 * i));
            to[i] = Element<T>::narrow2(__fmul_rn(pair.x, scale), __fmul_rn(pair.y, scale));
        }
    }
};

struct Int8 {
    static constexpr int BITS = 8;
    static constexpr int WORD_K = 16;

    template <typename T>
    static __device__ __forceinline__ void expand(uint32_t word, uint32_t scaleWord, uint32_t (&to)[2]) {
        IntegerScale scale(scaleWord);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            to[i] = scale.element2<T>((word >> (16 * i)) & 0xff, (word >> (16 * i + 8)) & 0xff);
        }
    }
};

struct Fp4 {
    static constexpr int BITS = 4;
    static constexpr int WORD_K = 32;

    template <typename T>
    static __device__ __forceinline__ void expand(uint32_t word, uint32_t scaleWord, uint32_t (&to)[4]) {
        float scale = __uint_as_float(scaleWord);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float2 pair = widenFp4(word >> (4 * i));
            to[i] = Element<T>::narrow2(__fmul_rn(pair.x, scale), __fmul_rn(pair.y, scale));
        }
    }
};

// With scales of any 16-bit type.
struct Int4 {
    static constexpr int BITS = 4;
    static constexpr int WORD_K = 32;

    template <typename T>
    static __device__ __forceinline__ void expand(uint32_t word, uint32_t scaleWord, uint32_t (&to)[4]) {
        IntegerScale scale(scaleWord);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            to[i] = scale.element2<T>((word >> (4 * i)) & 0xf, (word >> (4 * i + 16)) & 0xf);
        }
    }
};

// With scales of the device's own type. code - zero has at most five bits, so both operations on pairs of elements are
// as exact as those in fp32: the first has no rounding, the second one.
struct Int4Own {
    static constexpr int BITS = 4;
    static constexpr int WORD_K = 32;

    template <typename T>
    static __device__ __forceinline__ void expand(uint32_t word, uint32_t scaleWord, uint32_t (&to)[4]) {
        pairs(word, scaleWord, to, static_cast<T*>(nullptr));
    }

    // 0x6400 + i is the fp16 number 1024 + i. Codes in the second nibble of a half word stay there: they make
    // 1024 + 16 i.
    static __device__ __forceinline__ void pairs(uint32_t word, uint32_t scaleWord, uint32_t (&to)[4], __half*) {
        __half2 scale = __low2half2(as<__half2>(scaleWord));
        __half2 zero = __high2half2(as<__half2>(select(scaleWord, 0x00ff0000u, 0x64000000u)));
        __half2 sixteenth = as<__half2>(0x2c002c00u);
        __half2 zero64 = __hsub2(as<__half2>(0x63806380u), zero);  // 960 - (1024 + zero)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t codes = i < 2 ? word : word >> 8;
            __half2 less = i % 2 == 0 ? __hsub2(as<__half2>(select(codes, 0x000f000fu, 0x64006400u)), zero)
                                      : __hfma2(as<__half2>(select(codes, 0x00f000f0u, 0x64006400u)), sixteenth, zero64);
            to[i] = bits(__hmul2_rn(less, scale));
        }
    }

    // 0x4300 + i is the bf16 number 128 + i.
    static __device__ __forceinline__ void pairs(uint32_t word, uint32_t scaleWord, uint32_t (&to)[4],
                                                 __nv_bfloat16*) {
        __nv_bfloat162 scale = __low2bfloat162(as<__nv_bfloat162>(scaleWord));
        __nv_bfloat162 zero = __high2bfloat162(as<__nv_bfloat162>(select(scaleWord, 0x00ff0000u, 0x43000000u)));
#pragma unroll
        for (int i = 0; i < 4; i++) {
            __nv_bfloat162 code = as<__nv_bfloat162>(select(word >> (4 * i), 0x000f000fu, 0x43004300u));
            to[i] = bits(__hmul2_rn(__hsub2(code, zero), scale));
        }
    }

    // (word & mask) | other, as one instruction: the compiler makes two of constants.
    static __device__ __forceinline__ uint32_t select(uint32_t word, uint32_t mask, uint32_t other) {
        uint32_t selected;
        asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(selected) : "r"(word), "r"(mask), "r"(other));
        return selected;
    }

    template <typename Pair>
    static __device__ __forceinline__ Pair as(uint32_t word) {
        return *reinterpret_cast<Pair*>(&word);
    }

    template <typename Pair>
    static __device__ __forceinline__ uint32_t bits(Pair pair) {
        return *reinterpret_cast<uint32_t*>(&pair);
    }
};

// What is the same for all matrices of a kind of code.
template <typename Codes>
struct CodeLayout {
    static constexpr int WORD_K = Codes::WORD_K;
    static constexpr int UNIT_K = 4 * WORD_K;
    // Registers of two elements that a word makes: those of b of one or two multiplications.
    static constexpr int PAIRS = WORD_K / 8;

    static __host__ __device__ __forceinline__ int units(int depth) { return (depth + UNIT_K - 1) / UNIT_K; }

    static __host__ __device__ __forceinline__ int groups(int depth, int groupShift) {
        return ((depth - 1) >> groupShift) + 1;
    }
};

}  // namespace weft
