// Shared by all kernels: element types, 16-byte accesses, faults, and arithmetic whose rounding the compiler may not
// change. A value that must have the same bits in two kernels is computed with __f*_rn intrinsics, which are never
// fused.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace weft {

constexpr float NEGATIVE_INFINITY = -__builtin_huge_valf();
constexpr unsigned FULL_WARP = 0xffffffffu;

// Elements of a 16-byte access.
constexpr int VECTOR = 8;

template <typename T>
struct Element;

template <>
struct Element<__half> {
    static __device__ __forceinline__ float widen(__half x) { return __half2float(x); }
    static __device__ __forceinline__ __half narrow(float x) { return __float2half_rn(x); }
    static __device__ __forceinline__ float2 widen2(uint32_t x) {
        return __half22float2(*reinterpret_cast<__half2*>(&x));
    }
    static __device__ __forceinline__ uint32_t narrow2(float low, float high) {
        __half2 pair = __floats2half2_rn(low, high);
        return *reinterpret_cast<uint32_t*>(&pair);
    }
};

template <>
struct Element<__nv_bfloat16> {
    static __device__ __forceinline__ float widen(__nv_bfloat16 x) { return __bfloat162float(x); }
    static __device__ __forceinline__ __nv_bfloat16 narrow(float x) { return __float2bfloat16_rn(x); }
    static __device__ __forceinline__ float2 widen2(uint32_t x) {
        return make_float2(__uint_as_float(x << 16), __uint_as_float(x & 0xffff0000u));
    }
    static __device__ __forceinline__ uint32_t narrow2(float low, float high) {
        __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
        return *reinterpret_cast<uint32_t*>(&pair);
    }
};

template <>
struct Element<float> {
    static __device__ __forceinline__ float widen(float x) { return x; }
    static __device__ __forceinline__ float narrow(float x) { return x; }
};

// Up to eight neighbouring elements as fp32. `vectors` says that the address is a multiple of 16 bytes and all eight
// exist; otherwise `count` of them are read one by one.
template <typename T>
__device__ __forceinline__ void load8(const T* from, int count, bool vectors, float (&to)[VECTOR]) {
    if (vectors) {
        uint4 words = *reinterpret_cast<const uint4*>(from);
        const uint32_t word[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float2 pair = Element<T>::widen2(word[i]);
            to[2 * i] = pair.x;
            to[2 * i + 1] = pair.y;
        }
    } else {
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            to[i] = i < count ? Element<T>::widen(from[i]) : 0.0f;
        }
    }
}

template <typename T>
__device__ __forceinline__ void store8(T* to, int count, bool vectors, const float (&from)[VECTOR]) {
    if (vectors) {
        uint4 words;
        words.x = Element<T>::narrow2(from[0], from[1]);
        words.y = Element<T>::narrow2(from[2], from[3]);
        words.z = Element<T>::narrow2(from[4], from[5]);
        words.w = Element<T>::narrow2(from[6], from[7]);
        *reinterpret_cast<uint4*>(to) = words;
    } else {
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            if (i < count) {
                to[i] = Element<T>::narrow(from[i]);
            }
        }
    }
}

// An index outside its range. A kernel that finds one skips the row and reports the index to host memory, where every
// event that is reached later finds it. The order is that of the messages in FaultRecord.java.
enum FaultKind {
    TOKEN_ID = 1,
    LEARNED_POSITION = 2,
    ROTARY_POSITION = 3,
    SCATTER_OFFSET = 4,
    GATHER_OFFSET = 5,
    EDITED_TOKEN = 6,
    EXPERT_ID = 7,
    BLOCK_OFFSET = 8,
};

// (kind and row, value) in one 16-byte store, so a reader never sees half a report.
__device__ __forceinline__ void report(longlong2* fault, FaultKind kind, int row, long long value) {
    *fault = make_longlong2((static_cast<long long>(row) << 8) | kind, value);
    __threadfence_system();
}

// 2^x by the special function unit; 2^-inf is 0 and 2^0 is 1, exactly.
__device__ __forceinline__ float exp2Fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

constexpr float LOG2_E = 1.44269504f;

// 1 / x by the special function unit; 1 / inf is 0.
__device__ __forceinline__ float reciprocalFast(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Kernels begin with this call. It lets the next kernel of the stream start on the multiprocessors, which takes
// microseconds, and then waits until the preceding kernels have ended and their writes are visible. Before this call a
// kernel may touch only what no kernel writes, and no thread may exit: the end of a kernel implies the end of all
// kernels before it.
__device__ __forceinline__ void letNextKernelStart() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__device__ __forceinline__ void awaitEarlierKernels() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void beginKernel() {
    letNextKernelStart();
    awaitEarlierKernels();
}

// sum += a * b, 16 x 16 by 16 x 8, on tensor cores; the last argument names the element type.
__device__ __forceinline__ void multiply(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, __half*) {
    asm(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void multiply(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                                         __nv_bfloat16*) {
    asm(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four 8 x 8 matrices from shared memory: lane i names row i % 8 of matrix i / 8 and gets columns 2 (i % 4) and the
// next of row i / 4 of each; transposed, rows 2 (i % 4) and the next of column i / 4.
__device__ __forceinline__ void loadMatrices(uint32_t (&words)[4], uint32_t address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(address));
}

__device__ __forceinline__ void loadTransposed(uint32_t (&words)[4], uint32_t address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(address));
}

// Copies 16 bytes from global to shared memory, after the thread's other copies; writes zeros if there is nothing to
// read.
__device__ __forceinline__ void copyAsync(uint32_t to, const void* from, bool exists) {
    asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(exists ? 16 : 0));
}

__device__ __forceinline__ void commitCopies() {
    asm volatile("cp.async.commit_group;");
}

// Waits until all but the last LEFT groups of the thread's copies have arrived.
template <int LEFT>
__device__ __forceinline__ void awaitCopies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT));
}

// Waits for the first COUNT threads of the block, all in whole warps; the other warps do other work.
template <int COUNT>
__device__ __forceinline__ void syncThreads() {
    asm volatile("bar.sync 1, %0;" ::"n"(COUNT) : "memory");
}

// From here on, for sm_90a only.
//
// Barriers in shared memory, by address. A phase ends when `count` threads and all expected bytes have arrived.
__device__ __forceinline__ void initialiseBarrier(uint32_t barrier, int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}

__device__ __forceinline__ void showBarriersToCluster() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// Arrives, and makes the phase wait for bytes too.
__device__ __forceinline__ void expectBytes(uint32_t barrier, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

__device__ __forceinline__ void arrive(uint32_t barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

// Arrives at the barrier that a block of the cluster has at the same place. It orders reads of shared memory, so it
// needs no scope wider than the default, which would wait for all copies in flight.
__device__ __forceinline__ void arriveAt(uint32_t barrier, uint32_t rank) {
    asm volatile(
        "{\n"
        ".reg .b32 there;\n"
        "mapa.shared::cluster.u32 there, %0, %1;\n"
        "mbarrier.arrive.shared::cluster.b64 _, [there];\n"
        "}" ::"r"(barrier),
        "r"(rank)
        : "memory");
}

// Waits for the end of the phase of this parity.
__device__ __forceinline__ void awaitBarrier(uint32_t barrier, uint32_t parity) {
    asm volatile(
        "{\n"
        ".reg .pred ended;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 ended, [%0], %1;\n"
        "@!ended bra again;\n"
        "}" ::"r"(barrier),
        "r"(parity)
        : "memory");
}

// Copies `bytes` bytes to the same place in all blocks of a cluster of BLOCKS, and signals their barriers at the same
// place.
template <int BLOCKS>
__device__ __forceinline__ void copyToCluster(uint32_t to, const void* from, uint32_t bytes, uint32_t barrier) {
    uint16_t all = (1 << BLOCKS) - 1;
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, [%3], %4;" ::
            "r"(to),
        "l"(from), "r"(bytes), "r"(barrier), "h"(all)
        : "memory");
}

__device__ __forceinline__ uint32_t clusterRank() {
    uint32_t rank;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

__device__ __forceinline__ void arriveAtCluster() {
    asm volatile("barrier.cluster.arrive.aligned;" ::: "memory");
}

__device__ __forceinline__ void awaitCluster() {
    asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
}

}  // namespace weft
