// Codes of cache blocks: encoding when a block is written out, decoding when it has crossed the link. BlockCode.java
// and PackedLayout.java say what a coded block is; device/cpu has the same arithmetic, and both make the same bytes.
//
// Values of a block are (tokens, width), row-major. Grids have a block of threads, or several, for each coded block.
// Accesses are vectors where a block's values and codes start at multiples of 16 bytes; any other size works, slower.
#pragma once

#include "codes.cuh"

namespace weft {

// Where blocks lie: `offsets` (blocks) from `base`, which has `bytes` bytes.
struct BlockPlaces {
    char* base;
    long long bytes;
    const long long* offsets;

    // The address of a block of `blockBytes` bytes; null, and a fault, if it is not within the memory.
    __device__ __forceinline__ char* find(int block, long long blockBytes, longlong2* fault) const {
        long long offset = offsets[block];
        if (offset >= 0 && offset <= bytes - blockBytes && offset % 2 == 0) {
            return base + offset;
        }
        if (threadIdx.x == 0) {
            report(fault, BLOCK_OFFSET, block, offset);
        }
        return nullptr;
    }
};

__device__ __forceinline__ bool aligned(const void* first, const void* second) {
    return (reinterpret_cast<uintptr_t>(first) | reinterpret_cast<uintptr_t>(second)) % 16 == 0;
}

__host__ __device__ __forceinline__ constexpr long long roundUp16(long long bytes) {
    return (bytes + 15) / 16 * 16;
}

// Exact codes. A unit is a run of values for a warp, in the order of strips; lane i has its octets i, i + 32, ...

constexpr int UNIT_VALUES = 2048;
constexpr int UNIT_ROUNDS = UNIT_VALUES / (32 * VECTOR);
constexpr int HEADER_BYTES = 16;
constexpr int CODE_BYTES = 3;
constexpr int ESCAPE = 7;
constexpr int ESCAPE_VALUES = 12;
constexpr int STRIP_COLUMNS = 128;
constexpr int STRIP_OCTETS = STRIP_COLUMNS / VECTOR;
constexpr int EXPONENTS = 256;

// What depends on the type: the bits of a rotated value's upper byte that are no exponent, and so have planes of their
// own.
template <typename T>
struct Packed;
template <>
struct Packed<__half> {
    static constexpr int HIGH_BITS = 3;
};
template <>
struct Packed<__nv_bfloat16> {
    static constexpr int HIGH_BITS = 0;
};

// The parts of a coded block of values (tokens, width).
template <typename T>
struct PackedBlock {
    static constexpr int PLANES = Packed<T>::HIGH_BITS == 0 ? CODE_BYTES : 2 * CODE_BYTES;
    // Tokens of a unit in a strip of full width.
    static constexpr int UNIT_TOKENS = UNIT_VALUES / STRIP_COLUMNS;

    int tokens;
    int width;
    int count;

    __device__ __forceinline__ PackedBlock(int tokens, int width)
        : tokens(tokens), width(width), count(tokens * width) {}

    // Where value `index` of all units, the first of an octet, is in a block that is not packed. One beyond the last
    // has no place, and any number is as good.
    __device__ __forceinline__ int place(int index) const {
        int columns = width % VECTOR == 0 ? min(STRIP_COLUMNS, width) : width;
        int firstColumn = index / (columns * tokens) * columns;
        int inStrip = index - firstColumn * tokens;
        int stripWidth = max(1, min(columns, width - firstColumn));
        int token = inStrip / stripWidth;
        return token * width + firstColumn + inStrip - token * stripWidth;
    }
    // The places of a lane's octets in a unit, by round.
    struct Places {
        const PackedBlock& block;
        int first;
        int octet;
        bool regular;

        __device__ __forceinline__ int operator()(int round) const {
            // 32 octets are two tokens of a strip.
            return regular ? first + round * (32 / STRIP_OCTETS) * block.width
                           : block.place(octet + round * 32 * VECTOR);
        }
    };
    __device__ __forceinline__ Places places(int unit, int lane) const {
        int octet = unit * UNIT_VALUES + lane * VECTOR;
        return {*this, place(octet), octet, width % STRIP_COLUMNS == 0 && tokens % UNIT_TOKENS == 0};
    }
    static __device__ __forceinline__ long long unitBytes(int values) {
        return HEADER_BYTES + values + static_cast<long long>((values + VECTOR - 1) / VECTOR) * PLANES;
    }
    __device__ __forceinline__ int units() const { return (count + UNIT_VALUES - 1) / UNIT_VALUES; }
    __device__ __forceinline__ int values(int unit) const { return min(UNIT_VALUES, count - unit * UNIT_VALUES); }
    __device__ __forceinline__ long long unitAt(int unit) const { return unit * unitBytes(UNIT_VALUES); }
    // The end of the last unit.
    __device__ __forceinline__ long long unitsEnd() const {
        return unitAt(units() - 1) + unitBytes(values(units() - 1));
    }
    __device__ __forceinline__ long long escapesAt() const { return roundUp16(unitsEnd()); }
    __device__ __forceinline__ int escapesMost() const {
        return static_cast<int>(roundUp16((count + ESCAPE_VALUES - 1) / ESCAPE_VALUES));
    }
    __device__ __forceinline__ long long bytes() const { return escapesAt() + escapesMost(); }
};

// The octets of a lane, and the place of the first among the codes, which are in the order of (octet % 32, octet / 32).
struct LaneOctets {
    int count;
    int place;

    __device__ __forceinline__ LaneOctets(int octets, int lane) {
        int rounds = (octets + 31) / 32;
        int longer = octets - (rounds - 1) * 32;
        count = rounds - (lane >= longer ? 1 : 0);
        place = lane * (rounds - 1) + min(lane, longer);
    }
};

// Eight numbers of three bits, from 24 neighbouring bits to the lower bits of nibbles: halves, quarters and eighths
// move up by four, two and one.
__device__ __forceinline__ uint32_t spreadToNibbles(uint32_t x) {
    x += (x & 0x00fff000u) * 15u;
    x += (x & 0x0fc00fc0u) * 3u;
    return x + (x & 0x38383838u);
}

// A bit for each number that is 7, the lowest of its three.
__device__ __forceinline__ uint32_t sevens(uint32_t codes) {
    return codes & (codes >> 1) & (codes >> 2) & 0x00249249u;
}

// How many the lanes before have.
__device__ __forceinline__ int sumBefore(int count, int lane) {
    int sum = count;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
        int before = __shfl_up_sync(FULL_WARP, sum, step);
        sum += lane >= step ? before : 0;
    }
    return sum - count;
}

// The 24 bits of octet `round` of a lane, from three words of which each has a byte of eight octets.
__device__ __forceinline__ uint32_t planeBits(const uint2 (&planes)[CODE_BYTES], int round) {
    uint32_t selector = round % 4 | (round % 4 + 4) << 4;
    uint32_t first = round < 4 ? planes[0].x : planes[0].y;
    uint32_t second = round < 4 ? planes[1].x : planes[1].y;
    uint32_t third = round < 4 ? planes[2].x : planes[2].y;
    uint32_t lower = __byte_perm(first, second, selector);
    return __byte_perm(lower, third, 0x0010 | (round % 4 + 4) << 8) & 0x00ffffffu;
}

__device__ __forceinline__ void loadPlanes(const uint8_t* from, int octets, int place, int count, bool vectors,
                                           uint32_t (&bits)[UNIT_ROUNDS]) {
    if (vectors) {
        uint2 planes[CODE_BYTES];
#pragma unroll
        for (int plane = 0; plane < CODE_BYTES; plane++) {
            planes[plane] = *reinterpret_cast<const uint2*>(from + plane * octets + place);
        }
#pragma unroll
        for (int round = 0; round < UNIT_ROUNDS; round++) {
            bits[round] = planeBits(planes, round);
        }
    } else {
#pragma unroll
        for (int round = 0; round < UNIT_ROUNDS; round++) {
            bits[round] = 0;
            if (round < count) {
#pragma unroll
                for (int plane = 0; plane < CODE_BYTES; plane++) {
                    bits[round] |= static_cast<uint32_t>(from[plane * octets + place + round]) << (8 * plane);
                }
            }
        }
    }
}

__device__ __forceinline__ void storePlanes(uint8_t* to, int octets, int place, int count, bool vectors,
                                            const uint32_t (&bits)[UNIT_ROUNDS]) {
    if (vectors) {
#pragma unroll
        for (int plane = 0; plane < CODE_BYTES; plane++) {
            uint32_t selector = plane | (plane + 4) << 4;
            uint32_t words[2];
#pragma unroll
            for (int i = 0; i < 2; i++) {
                words[i] = __byte_perm(__byte_perm(bits[4 * i], bits[4 * i + 1], selector),
                                       __byte_perm(bits[4 * i + 2], bits[4 * i + 3], selector), 0x5410);
            }
            *reinterpret_cast<uint2*>(to + plane * octets + place) = make_uint2(words[0], words[1]);
        }
    } else {
#pragma unroll
        for (int round = 0; round < UNIT_ROUNDS; round++) {
            if (round < count) {
#pragma unroll
                for (int plane = 0; plane < CODE_BYTES; plane++) {
                    to[plane * octets + place + round] = static_cast<uint8_t>(bits[round] >> (8 * plane));
                }
            }
        }
    }
}

// Two rotated values from their lower bytes and their upper bytes, and the values.
__device__ __forceinline__ uint32_t rotateBack(uint32_t rotated) {
    return ((rotated >> 1) & 0x7fff7fffu) | ((rotated << 15) & 0x80008000u);
}

__device__ __forceinline__ uint32_t rotatePair(uint32_t values) {
    return ((values << 1) & 0xfffefffeu) | ((values >> 15) & 0x00010001u);
}

// One warp decodes a unit. All loads but those of escapes are requested before the first is used.
template <typename T>
__device__ __forceinline__ void decodeUnit(const uint8_t* from, uint16_t* to, const PackedBlock<T>& block, int unit) {
    constexpr int HIGH_BITS = Packed<T>::HIGH_BITS;
    int lane = threadIdx.x % 32;
    int values = block.values(unit);
    int octets = (values + VECTOR - 1) / VECTOR;
    bool vectors = aligned(from, to) && values == UNIT_VALUES;
    LaneOctets mine(octets, lane);
    const uint8_t* header = from + block.unitAt(unit);
    const uint8_t* low = header + HEADER_BYTES;
    const uint8_t* planes = low + values;
    auto places = block.places(unit, lane);
    uint32_t exponents[2];
    int escapesBefore;
    uint2 lows[UNIT_ROUNDS];
    if (vectors) {
        uint4 words = *reinterpret_cast<const uint4*>(header);
        exponents[0] = words.x;
        exponents[1] = words.y;
        escapesBefore = static_cast<int>(words.z);
#pragma unroll
        for (int round = 0; round < UNIT_ROUNDS; round++) {
            lows[round] = *reinterpret_cast<const uint2*>(low + (round * 32 + lane) * VECTOR);
        }
    } else {
        const uint16_t* words = reinterpret_cast<const uint16_t*>(header);
        exponents[0] = words[0] | static_cast<uint32_t>(words[1]) << 16;
        exponents[1] = words[2] | static_cast<uint32_t>(words[3]) << 16;
        escapesBefore = static_cast<int>(words[4] | static_cast<uint32_t>(words[5]) << 16);
#pragma unroll
        for (int round = 0; round < UNIT_ROUNDS; round++) {
            uint32_t word[2] = {};
            int first = (round * 32 + lane) * VECTOR;
#pragma unroll
            for (int j = 0; j < VECTOR; j++) {
                if (first + j < values) {
                    word[j / 4] |= static_cast<uint32_t>(low[first + j]) << (8 * (j % 4));
                }
            }
            lows[round] = make_uint2(word[0], word[1]);
        }
    }
    uint32_t codes[UNIT_ROUNDS];
    loadPlanes(planes, octets, mine.place, mine.count, vectors, codes);
    uint32_t highBits[UNIT_ROUNDS];
    if (HIGH_BITS > 0) {
        loadPlanes(planes + CODE_BYTES * octets, octets, mine.place, mine.count, vectors, highBits);
        exponents[0] <<= HIGH_BITS;
        exponents[1] <<= HIGH_BITS;
    }
    int escaped = 0;
#pragma unroll
    for (int round = 0; round < UNIT_ROUNDS; round++) {
        escaped += __popc(sevens(codes[round]));
    }
    const uint8_t* escapes = from + block.escapesAt();
    unsigned used = escapesBefore + sumBefore(escaped, lane);
    unsigned usedMost = block.escapesMost() - 1;
#pragma unroll
    for (int round = 0; round < UNIT_ROUNDS; round++) {
        uint32_t nibbles = spreadToNibbles(codes[round]);
        uint32_t upper[2] = {__byte_perm(exponents[0], exponents[1], nibbles),
                             __byte_perm(exponents[0], exponents[1], nibbles >> 16)};
        // The table has 0 for an escape.
        for (uint32_t left = sevens(codes[round]); left != 0; left &= left - 1) {
            int bit = __ffs(left) - 1;  // 3 j
            // A block that does not fit has more escapes than there are.
            uint32_t exponent = static_cast<uint32_t>(escapes[min(used, usedMost)]) << HIGH_BITS;
            used++;
            int shift = (bit * 8 / 3) % 32;
            if (bit < 12) {
                upper[0] |= exponent << shift;
            } else {
                upper[1] |= exponent << shift;
            }
        }
        if (HIGH_BITS > 0) {
            uint32_t high = spreadToNibbles(highBits[round]);
            uint32_t even = high & 0x07070707u;
            uint32_t odd = (high >> 4) & 0x07070707u;
            upper[0] |= __byte_perm(even, odd, 0x5140);
            upper[1] |= __byte_perm(even, odd, 0x7362);
        }
        uint4 result;
        result.x = rotateBack(__byte_perm(lows[round].x, upper[0], 0x5140));
        result.y = rotateBack(__byte_perm(lows[round].x, upper[0], 0x7362));
        result.z = rotateBack(__byte_perm(lows[round].y, upper[1], 0x5140));
        result.w = rotateBack(__byte_perm(lows[round].y, upper[1], 0x7362));
        int first = (round * 32 + lane) * VECTOR;
        uint16_t* out = to + places(round);
        if (vectors) {
            *reinterpret_cast<uint4*>(out) = result;
        } else {
            const uint32_t word[4] = {result.x, result.y, result.z, result.w};
#pragma unroll
            for (int j = 0; j < VECTOR; j++) {
                if (first + j < values) {
                    out[j] = static_cast<uint16_t>(word[j / 2] >> (16 * (j % 2)));
                }
            }
        }
    }
}

constexpr int DECODE_THREADS = 256;

// Grid: (blocks, groups of a unit for each warp).
template <typename T>
__device__ __forceinline__ void decodePacked(const BlockPlaces& codes, const BlockPlaces& values, int tokens,
                                             int width, longlong2* fault) {
    PackedBlock<T> block(tokens, width);
    const char* from = codes.find(blockIdx.x, block.bytes(), fault);
    char* to = values.find(blockIdx.x, static_cast<long long>(block.count) * sizeof(T), fault);
    if (from == nullptr || to == nullptr) {
        return;
    }
    int warps = gridDim.y * (DECODE_THREADS / 32);
    for (int unit = blockIdx.y * (DECODE_THREADS / 32) + threadIdx.x / 32; unit < block.units(); unit += warps) {
        decodeUnit<T>(reinterpret_cast<const uint8_t*>(from), reinterpret_cast<uint16_t*>(to), block, unit);
    }
}

constexpr int PACK_THREADS = 512;
constexpr int PACK_WARPS = PACK_THREADS / 32;

// The seven most frequent exponents, the smaller first among equals, as bytes; the eighth is 0.
__device__ __forceinline__ void chooseExponents(const int* counts, int lane, uint32_t (&exponents)[2]) {
    // A key is larger for a larger count, then for a smaller exponent.
    unsigned keys[EXPONENTS / 32];
#pragma unroll
    for (int i = 0; i < EXPONENTS / 32; i++) {
        int exponent = i * 32 + lane;
        keys[i] = static_cast<unsigned>(counts[exponent]) << 8 | (EXPONENTS - 1 - exponent);
    }
    exponents[0] = 0;
    exponents[1] = 0;
#pragma unroll
    for (int code = 0; code < ESCAPE; code++) {
        unsigned most = 0;
#pragma unroll
        for (int i = 0; i < EXPONENTS / 32; i++) {
            most = max(most, keys[i]);
        }
        most = __reduce_max_sync(FULL_WARP, most);
#pragma unroll
        for (int i = 0; i < EXPONENTS / 32; i++) {
            keys[i] = keys[i] == most ? 0 : keys[i];
        }
        exponents[code / 4] |= (EXPONENTS - 1 - (most & 0xff)) << (8 * (code % 4));
    }
}

// A block of threads codes a block, a unit for each warp at a time.
template <typename T>
__device__ __forceinline__ void encodePacked(const BlockPlaces& values, const BlockPlaces& codes, int* misfits,
                                             int tokens, int width, longlong2* fault) {
    constexpr int HIGH_BITS = Packed<T>::HIGH_BITS;
    __shared__ int counts[PACK_WARPS][EXPONENTS];
    __shared__ uint8_t codeOf[PACK_WARPS][EXPONENTS];
    __shared__ int unitEscapes[PACK_WARPS];
    PackedBlock<T> block(tokens, width);
    const uint16_t* from = reinterpret_cast<const uint16_t*>(
        values.find(blockIdx.x, static_cast<long long>(block.count) * sizeof(T), fault));
    uint8_t* to = reinterpret_cast<uint8_t*>(codes.find(blockIdx.x, block.bytes(), fault));
    if (from == nullptr || to == nullptr) {
        return;
    }
    uint8_t* escapes = to + block.escapesAt();
    int escapesMost = block.escapesMost();
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    int used = 0;
    for (int firstUnit = 0; firstUnit < block.units(); firstUnit += PACK_WARPS) {
        int unit = firstUnit + warp;
        bool exists = unit < block.units();
        int unitValues = exists ? block.values(unit) : 0;
        int octets = (unitValues + VECTOR - 1) / VECTOR;
        bool vectors = aligned(from, to) && unitValues == UNIT_VALUES;
        LaneOctets mine(octets, lane);
        auto places = block.places(unit, lane);
        uint32_t rotated[UNIT_ROUNDS][VECTOR / 2];
        uint32_t octetCodes[UNIT_ROUNDS];
        int escaped = 0;
        if (exists) {
#pragma unroll
            for (int round = 0; round < UNIT_ROUNDS; round++) {
                int first = (round * 32 + lane) * VECTOR;
                const uint16_t* in = from + places(round);
                if (vectors) {
                    uint4 words = *reinterpret_cast<const uint4*>(in);
                    rotated[round][0] = rotatePair(words.x);
                    rotated[round][1] = rotatePair(words.y);
                    rotated[round][2] = rotatePair(words.z);
                    rotated[round][3] = rotatePair(words.w);
                } else {
#pragma unroll
                    for (int j = 0; j < VECTOR; j += 2) {
                        uint32_t lower = first + j < unitValues ? in[j] : 0;
                        uint32_t upper = first + j + 1 < unitValues ? in[j + 1] : 0;
                        rotated[round][j / 2] = rotatePair(lower | upper << 16);
                    }
                }
            }
#pragma unroll
            for (int i = 0; i < EXPONENTS / 32; i++) {
                counts[warp][i * 32 + lane] = 0;
            }
            __syncwarp();
#pragma unroll
            for (int round = 0; round < UNIT_ROUNDS; round++) {
                int first = (round * 32 + lane) * VECTOR;
#pragma unroll
                for (int j = 0; j < VECTOR; j++) {
                    uint32_t exponent = (rotated[round][j / 2] >> (16 * (j % 2) + 8 + HIGH_BITS)) & (0xffu >> HIGH_BITS);
                    if (first + j < unitValues) {
                        atomicAdd(&counts[warp][exponent], 1);
                    }
                }
            }
            __syncwarp();
            uint32_t exponents[2];
            chooseExponents(counts[warp], lane, exponents);
            reinterpret_cast<uint2*>(codeOf[warp])[lane] = make_uint2(0x07070707u, 0x07070707u);
            __syncwarp();
            if (lane < ESCAPE) {
                uint32_t exponent = (lane < 4 ? exponents[0] : exponents[1]) >> (8 * (lane % 4)) & 0xff;
                codeOf[warp][exponent] = static_cast<uint8_t>(lane);
            }
            __syncwarp();
            uint8_t* header = to + block.unitAt(unit);
            uint8_t* low = header + HEADER_BYTES;
            uint8_t* planes = low + unitValues;
            uint32_t highBits[UNIT_ROUNDS];
#pragma unroll
            for (int round = 0; round < UNIT_ROUNDS; round++) {
                int first = (round * 32 + lane) * VECTOR;
                octetCodes[round] = 0;
                highBits[round] = 0;
#pragma unroll
                for (int j = 0; j < VECTOR; j++) {
                    uint32_t upper = (rotated[round][j / 2] >> (16 * (j % 2) + 8)) & 0xff;
                    uint32_t code = codeOf[warp][upper >> HIGH_BITS];
                    octetCodes[round] |= (first + j < unitValues ? code : 0) << (3 * j);
                    if (HIGH_BITS > 0) {
                        highBits[round] |= (upper & 7) << (3 * j);
                    }
                }
                escaped += __popc(sevens(octetCodes[round]));
                uint32_t lower[2];
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    lower[i] = __byte_perm(rotated[round][2 * i], rotated[round][2 * i + 1], 0x6420);
                }
                if (vectors) {
                    *reinterpret_cast<uint2*>(low + first) = make_uint2(lower[0], lower[1]);
                } else {
#pragma unroll
                    for (int j = 0; j < VECTOR; j++) {
                        if (first + j < unitValues) {
                            low[first + j] = static_cast<uint8_t>(lower[j / 4] >> (8 * (j % 4)));
                        }
                    }
                }
            }
            storePlanes(planes, octets, mine.place, mine.count, vectors, octetCodes);
            if (HIGH_BITS > 0) {
                storePlanes(planes + CODE_BYTES * octets, octets, mine.place, mine.count, vectors, highBits);
            }
            if (lane < 4) {
                uint16_t* words = reinterpret_cast<uint16_t*>(header);
                words[lane] = static_cast<uint16_t>((lane < 2 ? exponents[0] : exponents[1]) >> (16 * (lane % 2)));
            }
        }
        int laneAt = sumBefore(escaped, lane);
        if (lane == 31) {
            unitEscapes[warp] = laneAt + escaped;
        }
        __syncthreads();
        int unitAt = used;
#pragma unroll
        for (int i = 0; i < PACK_WARPS; i++) {
            int escapesOf = unitEscapes[i];
            unitAt += i < warp ? escapesOf : 0;
            used += escapesOf;
        }
        if (exists) {
            if (lane >= 4 && lane < 8) {
                uint16_t* words = reinterpret_cast<uint16_t*>(to + block.unitAt(unit));
                words[lane] = static_cast<uint16_t>(lane < 6 ? unitAt >> (16 * (lane - 4)) : 0);
            }
            int at = unitAt + laneAt;
#pragma unroll
            for (int round = 0; round < UNIT_ROUNDS; round++) {
                if (octetCodes[round] != 0) {
#pragma unroll
                    for (int j = 0; j < VECTOR; j++) {
                        if ((octetCodes[round] >> (3 * j) & 7) == ESCAPE) {
                            if (at < escapesMost) {
                                escapes[at] = static_cast<uint8_t>(
                                    ((rotated[round][j / 2] >> (16 * (j % 2) + 8)) & 0xff) >> HIGH_BITS);
                            }
                            at++;
                        }
                    }
                }
            }
        }
        __syncthreads();
    }
    for (int i = used + threadIdx.x; i < escapesMost; i += PACK_THREADS) {
        escapes[i] = 0;
    }
    for (uint8_t* rest = to + block.unitsEnd() + threadIdx.x; rest < escapes; rest += PACK_THREADS) {
        *rest = 0;
    }
    if (used > escapesMost && threadIdx.x == 0) {
        misfits[blockIdx.x] = 1;
    }
}

// Codes with scales, of K and V: a row is [K (heads / 2, headSize) | V (heads / 2, headSize)].

constexpr uint16_t NAN_BITS = 0x7fff;
constexpr uint32_t FINITE_MOST_BITS = 0x7f7fffff;

struct KeyValueBlock {
    int tokens;
    int width;
    int headSize;

    __device__ __forceinline__ int count() const { return tokens * width; }
    __device__ __forceinline__ int halfWidth() const { return width / 2; }
    // Heads of K and V of all tokens.
    __device__ __forceinline__ int heads() const { return count() / headSize; }
    __device__ __forceinline__ bool vectors(const void* values, const void* codes) const {
        return aligned(values, codes) && headSize % VECTOR == 0;
    }
};

template <typename T>
__device__ __forceinline__ uint16_t bitsOf(T value) {
    return *reinterpret_cast<uint16_t*>(&value);
}

template <typename T>
__device__ __forceinline__ float widenBits(uint16_t bits) {
    return Element<T>::widen(*reinterpret_cast<T*>(&bits));
}

// The least number that is not below `value`, which is not negative, or the one before if `most` of them, with `least`
// added, would be infinite.
template <typename T>
__device__ __forceinline__ uint16_t scaleBits(float value, float most, float least) {
    uint16_t bits = bitsOf<T>(Element<T>::narrow(value));
    if (widenBits<T>(bits) < value) {
        bits++;
    }
    float greatest = __fadd_rn(__fmul_rn(most, widenBits<T>(bits)), least);
    if (isinf(Element<T>::widen(Element<T>::narrow(greatest)))) {
        bits--;
    }
    return bits;
}

// FP8 with four bits of exponent.
struct Fp8Block {
    static constexpr float MOST = 448.0f;

    static __device__ __forceinline__ uint32_t code(float ratio) {
        float size = fabsf(ratio);
        uint32_t bits = __float_as_uint(size);
        uint32_t rounded = bits + 0x7ffff + ((bits >> 20) & 1);
        uint32_t magnitude = size < 0.015625f ? static_cast<uint32_t>(rintf(__fmul_rn(size, 512.0f)))
                                              : min((rounded >> 20) - (120u << 3), 0x7eu);
        return magnitude | (__float_as_uint(ratio) >> 24 & 0x80);
    }

    // Two codes, in the lower half of the word.
    static __device__ __forceinline__ float2 values(uint32_t pair) { return widenFp8(pair & 0xffff); }
};

// Whole numbers.
struct Int8Block {
    static constexpr float MOST = 127.0f;

    static __device__ __forceinline__ uint32_t code(float ratio) {
        return static_cast<uint32_t>(static_cast<int>(rintf(fminf(fmaxf(ratio, -MOST), MOST)))) & 0xff;
    }

    static __device__ __forceinline__ float2 values(uint32_t pair) {
        return make_float2(static_cast<float>(static_cast<int8_t>(pair & 0xff)),
                           static_cast<float>(static_cast<int8_t>(pair >> 8 & 0xff)));
    }
};

// Lanes that share a head: a power of two, at least one for each of its octets, at most a warp.
__device__ __forceinline__ int lanesPerHead(int headSize) {
    int lanes = 1;
    while (lanes < 32 && lanes * VECTOR < headSize) {
        lanes *= 2;
    }
    return lanes;
}

constexpr int SCALE_THREADS = 256;

// Codes a block; some neighbouring lanes take the head of a token. Grid: (blocks, parts of the heads of all tokens).
template <typename T, typename Code>
__device__ __forceinline__ void encodeScaled(const BlockPlaces& values, const BlockPlaces& codes,
                                             const KeyValueBlock& block, longlong2* fault) {
    long long scalesAt = roundUp16(block.count());
    long long scaleBytes = static_cast<long long>(block.heads()) * sizeof(T);
    const T* from = reinterpret_cast<const T*>(
        values.find(blockIdx.x, static_cast<long long>(block.count()) * sizeof(T), fault));
    char* to = codes.find(blockIdx.x, scalesAt + roundUp16(scaleBytes), fault);
    if (from == nullptr || to == nullptr) {
        return;
    }
    bool vectors = block.vectors(from, to);
    uint16_t* scales = reinterpret_cast<uint16_t*>(to + scalesAt);
    int lanes = lanesPerHead(block.headSize);
    int lane = threadIdx.x % lanes;
    int headsAtOnce = SCALE_THREADS / lanes;
    for (int first = blockIdx.y * headsAtOnce; first < block.heads(); first += gridDim.y * headsAtOnce) {
        int head = first + threadIdx.x / lanes;
        int size = head < block.heads() ? block.headSize : 0;
        const T* in = from + static_cast<size_t>(head) * block.headSize;
        uint8_t* out = reinterpret_cast<uint8_t*>(to) + static_cast<size_t>(head) * block.headSize;
        // Bits of sizes are in the order of the sizes, infinity and NaN after all others.
        uint32_t greatest = 0;
        for (int at = lane * VECTOR; at < size; at += lanes * VECTOR) {
            float x[VECTOR];
            load8(in + at, size - at, vectors, x);
#pragma unroll
            for (int i = 0; i < VECTOR; i++) {
                greatest = max(greatest, __float_as_uint(x[i]) & 0x7fffffff);
            }
        }
        for (int step = lanes / 2; step > 0; step /= 2) {
            greatest = max(greatest, __shfl_xor_sync(FULL_WARP, greatest, step));
        }
        uint16_t scale = greatest > FINITE_MOST_BITS
                             ? NAN_BITS
                             : scaleBits<T>(__fdiv_rn(__uint_as_float(greatest), Code::MOST), Code::MOST, 0.0f);
        float divisor = widenBits<T>(scale);
        for (int at = lane * VECTOR; at < size; at += lanes * VECTOR) {
            float x[VECTOR];
            load8(in + at, size - at, vectors, x);
            uint32_t word[2] = {};
            if (divisor > 0.0f) {
#pragma unroll
                for (int i = 0; i < VECTOR; i++) {
                    word[i / 4] |= Code::code(__fdiv_rn(x[i], divisor)) << (8 * (i % 4));
                }
            }
            if (vectors) {
                *reinterpret_cast<uint2*>(out + at) = make_uint2(word[0], word[1]);
            } else {
#pragma unroll
                for (int i = 0; i < VECTOR; i++) {
                    if (at + i < size) {
                        out[at + i] = static_cast<uint8_t>(word[i / 4] >> (8 * (i % 4)));
                    }
                }
            }
        }
        if (size > 0 && lane == 0) {
            scales[head] = scale;
        }
    }
    if (blockIdx.y == 0) {
        for (long long at = block.count() + threadIdx.x; at < scalesAt; at += SCALE_THREADS) {
            to[at] = 0;
        }
        for (long long at = scaleBytes + threadIdx.x; at < roundUp16(scaleBytes); at += SCALE_THREADS) {
            to[scalesAt + at] = 0;
        }
    }
}

constexpr int SCALED_ROUNDS = 4;

// A thread decodes a few octets. Grid: (blocks, parts of the values).
template <typename T, typename Code>
__device__ __forceinline__ void decodeScaled(const BlockPlaces& codes, const BlockPlaces& values,
                                             const KeyValueBlock& block, longlong2* fault) {
    long long scalesAt = roundUp16(block.count());
    long long scaleBytes = static_cast<long long>(block.heads()) * sizeof(T);
    const char* from = codes.find(blockIdx.x, scalesAt + roundUp16(scaleBytes), fault);
    char* found = values.find(blockIdx.x, static_cast<long long>(block.count()) * sizeof(T), fault);
    if (from == nullptr || found == nullptr) {
        return;
    }
    T* to = reinterpret_cast<T*>(found);
    const uint16_t* scales = reinterpret_cast<const uint16_t*>(from + scalesAt);
    if (!block.vectors(from, to)) {
        for (int i = blockIdx.y * SCALE_THREADS + threadIdx.x; i < block.count(); i += gridDim.y * SCALE_THREADS) {
            float value = Code::values(static_cast<uint8_t>(from[i])).x;
            to[i] = Element<T>::narrow(__fmul_rn(value, widenBits<T>(scales[i / block.headSize])));
        }
        return;
    }
    int octets = block.count() / VECTOR;
    int headOctets = block.headSize / VECTOR;
    int step = gridDim.y * SCALE_THREADS * SCALED_ROUNDS;
    for (int first = blockIdx.y * SCALE_THREADS * SCALED_ROUNDS + threadIdx.x; first < octets; first += step) {
        uint2 words[SCALED_ROUNDS];
        uint16_t bits[SCALED_ROUNDS];
#pragma unroll
        for (int i = 0; i < SCALED_ROUNDS; i++) {
            int octet = min(first + i * SCALE_THREADS, octets - 1);
            words[i] = reinterpret_cast<const uint2*>(from)[octet];
            bits[i] = scales[static_cast<unsigned>(octet) / static_cast<unsigned>(headOctets)];
        }
#pragma unroll
        for (int i = 0; i < SCALED_ROUNDS; i++) {
            int octet = first + i * SCALE_THREADS;
            float scale = widenBits<T>(bits[i]);
            uint32_t out[VECTOR / 2];
#pragma unroll
            for (int j = 0; j < VECTOR / 2; j++) {
                float2 pair = Code::values((j < 2 ? words[i].x : words[i].y) >> (16 * (j % 2)));
                out[j] = Element<T>::narrow2(__fmul_rn(pair.x, scale), __fmul_rn(pair.y, scale));
            }
            if (octet < octets) {
                reinterpret_cast<uint4*>(to)[octet] = make_uint4(out[0], out[1], out[2], out[3]);
            }
        }
    }
}

// Four bits. What they mean: code * scale + least.
template <typename T>
struct Int4Range {
    static constexpr float MOST = 15.0f;

    uint16_t leastBits;
    uint16_t scaleBitsOfRange;

    // Of values from `least` to `greatest`. A value that is not finite has made the range infinite.
    static __device__ __forceinline__ Int4Range of(float least, float greatest) {
        float span = __fadd_rn(__fsub_rn(greatest, least), 0.0f);
        if (!(span <= __uint_as_float(FINITE_MOST_BITS))) {
            return {NAN_BITS, NAN_BITS};
        }
        float positiveZero = __fadd_rn(least, 0.0f);
        return {bitsOf<T>(Element<T>::narrow(positiveZero)),
                scaleBits<T>(__fdiv_rn(span, MOST), MOST, positiveZero)};
    }

    __device__ __forceinline__ uint32_t code(float x) const {
        float scale = widenBits<T>(scaleBitsOfRange);
        if (!(scale > 0.0f)) {
            return 0;
        }
        float ratio = __fdiv_rn(__fsub_rn(x, widenBits<T>(leastBits)), scale);
        return static_cast<uint32_t>(rintf(fminf(ratio, MOST)));
    }

    __device__ __forceinline__ float value(uint32_t code) const {
        return __fadd_rn(__fmul_rn(static_cast<float>(code), widenBits<T>(scaleBitsOfRange)),
                         widenBits<T>(leastBits));
    }
};

// The least and the greatest of some values.
struct Extremes {
    float least = __builtin_huge_valf();
    float greatest = NEGATIVE_INFINITY;

    __device__ __forceinline__ void add(float x) {
        least = fminf(least, x);
        // NaN too makes the range infinite.
        greatest = fmaxf(greatest, fabsf(x) <= __uint_as_float(FINITE_MOST_BITS) ? x : __builtin_huge_valf());
    }
    __device__ __forceinline__ void add(const Extremes& other) {
        least = fminf(least, other.least);
        greatest = fmaxf(greatest, other.greatest);
    }
};

// The parts of a block of 4-bit codes.
template <typename T>
struct Int4Block {
    KeyValueBlock block;

    __device__ __forceinline__ long long rangesAt() const { return roundUp16(block.count() / 2); }
    __device__ __forceinline__ long long rangesEnd() const {
        return rangesAt() + (2LL * block.halfWidth() + block.heads()) * static_cast<long long>(sizeof(T));
    }
    __device__ __forceinline__ long long bytes() const { return roundUp16(rangesEnd()); }
    // (halfWidth)
    __device__ __forceinline__ uint16_t* keyLeast(char* codes) const {
        return reinterpret_cast<uint16_t*>(codes + rangesAt());
    }
    // (halfWidth)
    __device__ __forceinline__ uint16_t* keyScales(char* codes) const { return keyLeast(codes) + block.halfWidth(); }
    // (tokens, heads of V, 2): least and scale.
    __device__ __forceinline__ uint16_t* valueRanges(char* codes) const {
        return keyScales(codes) + block.halfWidth();
    }
    __device__ __forceinline__ int valueHeads() const { return block.halfWidth() / block.headSize; }
    // Vectors of K's ranges and of codes start where accesses want them.
    __device__ __forceinline__ bool vectors(const void* values, const void* codes) const {
        return block.vectors(values, codes);
    }
};

constexpr int INT4_COLUMNS = 32;  // octets of K that a block of threads takes
constexpr int INT4_GROUPS = SCALE_THREADS / INT4_COLUMNS;

// A warp has 32 octets of channels of every eighth token; the extremes of a channel meet in shared memory.
template <typename T>
__device__ __forceinline__ void encodeInt4Keys(const T* from, char* to, const Int4Block<T>& layout, int part) {
    __shared__ Extremes extremes[INT4_GROUPS][VECTOR][INT4_COLUMNS];
    const KeyValueBlock& block = layout.block;
    int column = threadIdx.x % INT4_COLUMNS;
    int group = threadIdx.x / INT4_COLUMNS;
    int octet = part * INT4_COLUMNS + column;
    bool exists = octet * VECTOR < block.halfWidth();
    const T* in = from + octet * VECTOR;
    Extremes own[VECTOR];
    for (int token = group; exists && token < block.tokens; token += INT4_GROUPS) {
        float x[VECTOR];
        load8(in + static_cast<size_t>(token) * block.width, VECTOR, true, x);
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            own[i].add(x[i]);
        }
    }
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        extremes[group][i][column] = own[i];
    }
    __syncthreads();
    if (!exists) {
        return;
    }
    Int4Range<T> ranges[VECTOR];
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        Extremes all;
#pragma unroll
        for (int other = 0; other < INT4_GROUPS; other++) {
            all.add(extremes[other][i][column]);
        }
        ranges[i] = Int4Range<T>::of(all.least, all.greatest);
        if (group == 0) {
            layout.keyLeast(to)[octet * VECTOR + i] = ranges[i].leastBits;
            layout.keyScales(to)[octet * VECTOR + i] = ranges[i].scaleBitsOfRange;
        }
    }
    for (int token = group; token < block.tokens; token += INT4_GROUPS) {
        size_t at = static_cast<size_t>(token) * block.width;
        float x[VECTOR];
        load8(in + at, VECTOR, true, x);
        uint32_t word = 0;
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            word |= ranges[i].code(x[i]) << (4 * i);
        }
        *reinterpret_cast<uint32_t*>(to + at / 2 + octet * 4) = word;
    }
}

// Some neighbouring lanes take the head of V of a token.
template <typename T>
__device__ __forceinline__ void encodeInt4Values(const T* from, char* to, const Int4Block<T>& layout, int part,
                                                 int parts) {
    const KeyValueBlock& block = layout.block;
    int lanes = lanesPerHead(block.headSize);
    int lane = threadIdx.x % lanes;
    int headsAtOnce = SCALE_THREADS / lanes;
    int heads = block.tokens * layout.valueHeads();
    for (int first = part * headsAtOnce; first < heads; first += parts * headsAtOnce) {
        int head = first + threadIdx.x / lanes;
        int size = head < heads ? block.headSize : 0;
        int token = head / layout.valueHeads();
        size_t start = static_cast<size_t>(token) * block.width + block.halfWidth() +
                       head % layout.valueHeads() * block.headSize;
        Extremes extremes;
        for (int at = lane * VECTOR; at < size; at += lanes * VECTOR) {
            float x[VECTOR];
            load8(from + start + at, VECTOR, true, x);
#pragma unroll
            for (int i = 0; i < VECTOR; i++) {
                extremes.add(x[i]);
            }
        }
        for (int step = lanes / 2; step > 0; step /= 2) {
            Extremes other;
            other.least = __shfl_xor_sync(FULL_WARP, extremes.least, step);
            other.greatest = __shfl_xor_sync(FULL_WARP, extremes.greatest, step);
            extremes.add(other);
        }
        Int4Range<T> range = Int4Range<T>::of(extremes.least, extremes.greatest);
        for (int at = lane * VECTOR; at < size; at += lanes * VECTOR) {
            float x[VECTOR];
            load8(from + start + at, VECTOR, true, x);
            uint32_t word = 0;
#pragma unroll
            for (int i = 0; i < VECTOR; i++) {
                word |= range.code(x[i]) << (4 * i);
            }
            *reinterpret_cast<uint32_t*>(to + (start + at) / 2) = word;
        }
        if (size > 0 && lane == 0) {
            layout.valueRanges(to)[2 * head] = range.leastBits;
            layout.valueRanges(to)[2 * head + 1] = range.scaleBitsOfRange;
        }
    }
}

// The range of element `index` of a block.
template <typename T>
__device__ __forceinline__ Int4Range<T> int4Range(char* codes, const Int4Block<T>& layout, int index) {
    const KeyValueBlock& block = layout.block;
    int token = index / block.width;
    int column = index % block.width;
    if (column < block.halfWidth()) {
        return {layout.keyLeast(codes)[column], layout.keyScales(codes)[column]};
    }
    int head = token * layout.valueHeads() + (column - block.halfWidth()) / block.headSize;
    return {layout.valueRanges(codes)[2 * head], layout.valueRanges(codes)[2 * head + 1]};
}

// Codes a block of any size, with one block of threads.
template <typename T>
__device__ __forceinline__ void encodeInt4Elements(const T* from, char* to, const Int4Block<T>& layout) {
    const KeyValueBlock& block = layout.block;
    int half = block.halfWidth();
    int heads = block.tokens * layout.valueHeads();
    for (int item = threadIdx.x; item < half + heads; item += SCALE_THREADS) {
        Extremes extremes;
        if (item < half) {
            for (int token = 0; token < block.tokens; token++) {
                extremes.add(Element<T>::widen(from[static_cast<size_t>(token) * block.width + item]));
            }
            Int4Range<T> range = Int4Range<T>::of(extremes.least, extremes.greatest);
            layout.keyLeast(to)[item] = range.leastBits;
            layout.keyScales(to)[item] = range.scaleBitsOfRange;
        } else {
            int head = item - half;
            const T* in = from + static_cast<size_t>(head / layout.valueHeads()) * block.width + half +
                          head % layout.valueHeads() * block.headSize;
            for (int i = 0; i < block.headSize; i++) {
                extremes.add(Element<T>::widen(in[i]));
            }
            Int4Range<T> range = Int4Range<T>::of(extremes.least, extremes.greatest);
            layout.valueRanges(to)[2 * head] = range.leastBits;
            layout.valueRanges(to)[2 * head + 1] = range.scaleBitsOfRange;
        }
    }
    __syncthreads();
    for (int i = 2 * threadIdx.x; i < block.count(); i += 2 * SCALE_THREADS) {
        uint32_t lower = int4Range<T>(to, layout, i).code(Element<T>::widen(from[i]));
        uint32_t upper = int4Range<T>(to, layout, i + 1).code(Element<T>::widen(from[i + 1]));
        to[i / 2] = static_cast<char>(lower | upper << 4);
    }
}

// Grid: (blocks, keyParts and some parts of the heads of V).
template <typename T>
__device__ __forceinline__ void encodeInt4(const BlockPlaces& values, const BlockPlaces& codes,
                                           const KeyValueBlock& block, int keyParts, longlong2* fault) {
    Int4Block<T> layout{block};
    const T* from = reinterpret_cast<const T*>(
        values.find(blockIdx.x, static_cast<long long>(block.count()) * sizeof(T), fault));
    char* to = codes.find(blockIdx.x, layout.bytes(), fault);
    if (from == nullptr || to == nullptr) {
        return;
    }
    int part = blockIdx.y;
    if (part == 0) {
        for (long long at = block.count() / 2 + threadIdx.x; at < layout.rangesAt(); at += SCALE_THREADS) {
            to[at] = 0;
        }
        for (long long at = layout.rangesEnd() + threadIdx.x; at < layout.bytes(); at += SCALE_THREADS) {
            to[at] = 0;
        }
    }
    if (!layout.vectors(from, to)) {
        if (part == 0) {
            encodeInt4Elements<T>(from, to, layout);
        }
    } else if (part < keyParts) {
        encodeInt4Keys<T>(from, to, layout, part);
    } else {
        encodeInt4Values<T>(from, to, layout, part - keyParts, gridDim.y - keyParts);
    }
}

constexpr int INT4_TOKENS = 4;  // that a thread has in flight

// Eight values of a code word.
template <typename T>
__device__ __forceinline__ uint4 int4Values(uint32_t word, const Int4Range<T> (&ranges)[VECTOR]) {
    uint32_t out[VECTOR / 2];
#pragma unroll
    for (int i = 0; i < VECTOR / 2; i++) {
        out[i] = Element<T>::narrow2(ranges[2 * i].value(word >> (8 * i) & 0xf),
                                     ranges[2 * i + 1].value(word >> (8 * i + 4) & 0xf));
    }
    return make_uint4(out[0], out[1], out[2], out[3]);
}

// A thread decodes an octet of columns of some tokens. Grid: (blocks, parts of the columns, parts of the tokens).
template <typename T>
__device__ __forceinline__ void decodeInt4(const BlockPlaces& codes, const BlockPlaces& values,
                                           const KeyValueBlock& block, longlong2* fault) {
    Int4Block<T> layout{block};
    char* from = codes.find(blockIdx.x, layout.bytes(), fault);
    char* found = values.find(blockIdx.x, static_cast<long long>(block.count()) * sizeof(T), fault);
    if (from == nullptr || found == nullptr) {
        return;
    }
    T* to = reinterpret_cast<T*>(found);
    if (!layout.vectors(from, to)) {
        int threads = gridDim.y * gridDim.z * SCALE_THREADS;
        for (int i = (blockIdx.z * gridDim.y + blockIdx.y) * SCALE_THREADS + threadIdx.x; i < block.count();
             i += threads) {
            uint32_t code = static_cast<uint8_t>(from[i / 2]) >> (4 * (i % 2)) & 0xf;
            to[i] = Element<T>::narrow(int4Range<T>(from, layout, i).value(code));
        }
        return;
    }
    int octets = block.width / VECTOR;
    int columns = min(octets, SCALE_THREADS);
    int rows = SCALE_THREADS / columns;
    int row = threadIdx.x / columns;
    int octet = blockIdx.y * columns + threadIdx.x % columns;
    if (row >= rows || octet >= octets) {
        return;
    }
    bool keys = octet * VECTOR < block.halfWidth();
    Int4Range<T> ranges[VECTOR];
    int head = 0;
    if (keys) {
        uint4 least = *reinterpret_cast<const uint4*>(layout.keyLeast(from) + octet * VECTOR);
        uint4 scales = *reinterpret_cast<const uint4*>(layout.keyScales(from) + octet * VECTOR);
        const uint32_t leastWord[4] = {least.x, least.y, least.z, least.w};
        const uint32_t scaleWord[4] = {scales.x, scales.y, scales.z, scales.w};
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            ranges[i] = {static_cast<uint16_t>(leastWord[i / 2] >> (16 * (i % 2))),
                         static_cast<uint16_t>(scaleWord[i / 2] >> (16 * (i % 2)))};
        }
    } else {
        head = (octet * VECTOR - block.halfWidth()) / block.headSize;
    }
    int step = gridDim.z * rows;
    for (int first = blockIdx.z * rows + row; first < block.tokens; first += INT4_TOKENS * step) {
        uint32_t words[INT4_TOKENS];
        uint32_t pairs[INT4_TOKENS];
#pragma unroll
        for (int i = 0; i < INT4_TOKENS; i++) {
            int token = min(first + i * step, block.tokens - 1);
            words[i] = reinterpret_cast<const uint32_t*>(from)[static_cast<size_t>(token) * octets + octet];
            pairs[i] = keys ? 0
                            : reinterpret_cast<const uint32_t*>(
                                  layout.valueRanges(from))[token * layout.valueHeads() + head];
        }
#pragma unroll
        for (int i = 0; i < INT4_TOKENS; i++) {
            int token = first + i * step;
            if (!keys) {
#pragma unroll
                for (int j = 0; j < VECTOR; j++) {
                    ranges[j] = {static_cast<uint16_t>(pairs[i]), static_cast<uint16_t>(pairs[i] >> 16)};
                }
            }
            if (token < block.tokens) {
                reinterpret_cast<uint4*>(to)[static_cast<size_t>(token) * octets + octet] =
                    int4Values<T>(words[i], ranges);
            }
        }
    }
}

}  // namespace weft

#define BLOCK_KERNELS(NAME, T)                                                                                        \
    extern "C" __global__ void __launch_bounds__(512)                                                                 \
        encode_packed_##NAME(char* values, long long valueBytes, const long long* valueOffsets, char* codes,          \
                             long long codeBytes, const long long* codeOffsets, int* misfits, int tokens,             \
                             int width, longlong2* fault) {                                                           \
        beginKernel();                                                                                                \
        encodePacked<T>({values, valueBytes, valueOffsets}, {codes, codeBytes, codeOffsets}, misfits, tokens, width,  \
                        fault);                                                                                       \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256, 4)                                                              \
        decode_packed_##NAME(char* codes, long long codeBytes, const long long* codeOffsets, char* values,            \
                             long long valueBytes, const long long* valueOffsets, int tokens, int width,              \
                             longlong2* fault) {                                                                      \
        beginKernel();                                                                                                \
        decodePacked<T>({codes, codeBytes, codeOffsets}, {values, valueBytes, valueOffsets}, tokens, width, fault);   \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        encode_fp8_##NAME(char* values, long long valueBytes, const long long* valueOffsets, char* codes,             \
                          long long codeBytes, const long long* codeOffsets, int tokens, int width, int headSize,     \
                          longlong2* fault) {                                                                         \
        beginKernel();                                                                                                \
        encodeScaled<T, Fp8Block>({values, valueBytes, valueOffsets}, {codes, codeBytes, codeOffsets},                \
                                  {tokens, width, headSize}, fault);                                                  \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        decode_fp8_##NAME(char* codes, long long codeBytes, const long long* codeOffsets, char* values,               \
                          long long valueBytes, const long long* valueOffsets, int tokens, int width, int headSize,   \
                          longlong2* fault) {                                                                         \
        beginKernel();                                                                                                \
        decodeScaled<T, Fp8Block>({codes, codeBytes, codeOffsets}, {values, valueBytes, valueOffsets},                \
                                  {tokens, width, headSize}, fault);                                                  \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        encode_int8_##NAME(char* values, long long valueBytes, const long long* valueOffsets, char* codes,            \
                           long long codeBytes, const long long* codeOffsets, int tokens, int width, int headSize,    \
                           longlong2* fault) {                                                                        \
        beginKernel();                                                                                                \
        encodeScaled<T, Int8Block>({values, valueBytes, valueOffsets}, {codes, codeBytes, codeOffsets},               \
                                   {tokens, width, headSize}, fault);                                                 \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        decode_int8_##NAME(char* codes, long long codeBytes, const long long* codeOffsets, char* values,              \
                           long long valueBytes, const long long* valueOffsets, int tokens, int width, int headSize,  \
                           longlong2* fault) {                                                                        \
        beginKernel();                                                                                                \
        decodeScaled<T, Int8Block>({codes, codeBytes, codeOffsets}, {values, valueBytes, valueOffsets},               \
                                   {tokens, width, headSize}, fault);                                                 \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        encode_int4_##NAME(char* values, long long valueBytes, const long long* valueOffsets, char* codes,            \
                           long long codeBytes, const long long* codeOffsets, int tokens, int width, int headSize,    \
                           int keyParts, longlong2* fault) {                                                          \
        beginKernel();                                                                                                \
        encodeInt4<T>({values, valueBytes, valueOffsets}, {codes, codeBytes, codeOffsets}, {tokens, width, headSize}, \
                      keyParts, fault);                                                                               \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                                 \
        decode_int4_##NAME(char* codes, long long codeBytes, const long long* codeOffsets, char* values,              \
                           long long valueBytes, const long long* valueOffsets, int tokens, int width, int headSize,  \
                           longlong2* fault) {                                                                        \
        beginKernel();                                                                                                \
        decodeInt4<T>({codes, codeBytes, codeOffsets}, {values, valueBytes, valueOffsets}, {tokens, width, headSize}, \
                      fault);                                                                                         \
    }

FOR_ELEMENT_TYPES(BLOCK_KERNELS)
