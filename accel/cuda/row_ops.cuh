#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "accel/cuda/row_ops.h"

// How row_ops.cu spreads rows over threads: a thread owns eight neighbouring channels, a block kRowSlab rows.
namespace canopy::accel::cuda {

constexpr int kMostRowThreads = kMostRowChannels / 8;

struct Eight {
    float value[8] = {};
};

__device__ __forceinline__ Eight widened(const uint4& bits) {
    const std::uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
    Eight eight;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        eight.value[2 * i] = __uint_as_float(words[i] << 16);
        eight.value[2 * i + 1] = __uint_as_float(words[i] & 0xFFFF0000U);
    }
    return eight;
}

__device__ __forceinline__ Eight loadEight(const __nv_bfloat16* from) {
    return widened(*reinterpret_cast<const uint4*>(from));
}

/// Rows of float32 may start at any multiple of 4 bytes.
__device__ __forceinline__ Eight loadEight(const float* from) {
    Eight eight;
#pragma unroll
    for (int i = 0; i < 8; ++i)
        eight.value[i] = from[i];
    return eight;
}

__device__ __forceinline__ void storeEight(__nv_bfloat16* to, const Eight& eight) {
    uint4 bits;
    auto* pairs = reinterpret_cast<__nv_bfloat162*>(&bits);
#pragma unroll
    for (int i = 0; i < 4; ++i)
        pairs[i] = __floats2bfloat162_rn(eight.value[2 * i], eight.value[2 * i + 1]);
    *reinterpret_cast<uint4*>(to) = bits;
}

__device__ __forceinline__ void storeEight(float* to, const Eight& eight) {
    auto* wide = reinterpret_cast<float4*>(to);
    wide[0] = {eight.value[0], eight.value[1], eight.value[2], eight.value[3]};
    wide[1] = {eight.value[4], eight.value[5], eight.value[6], eight.value[7]};
}

/// To bfloat16 and back.
__device__ __forceinline__ float rounded(float value) {
    return __bfloat162float(__float2bfloat16_rn(value));
}

/// The rows of a block and the channels of a thread; threads past the last channel are idle but take part in
/// barriers.
struct RowPlace {
    __device__ RowPlace(std::int64_t tokens, std::int64_t channels)
        : begin(std::int64_t{blockIdx.x} * kRowSlab)
        , end(begin + kRowSlab < tokens ? begin + kRowSlab : tokens)
        , isActive(std::int64_t{threadIdx.x} * 8 < channels)
        , channel(isActive ? std::int64_t{threadIdx.x} * 8 : 0) {}
    __device__ bool has(std::int64_t token) const { return isActive && token < end; }

    std::int64_t begin, end;
    bool isActive;
    std::int64_t channel;
};

/// A thread's part of the next `Count` rows, fetched while the rows before are worked on.
template <int Count>
class RowQueue {
public:
    __device__ RowQueue(const void* x, std::int64_t stride, const RowPlace& place)
        : m_x(static_cast<const __nv_bfloat16*>(x) + place.channel)
        , m_stride(stride)
        , m_place(place) {
        fetch(place.begin);
    }
    /// Rows [first, first + Count), zeros past the last; then fetches those after them.
    __device__ void take(std::int64_t first, Eight (&rows)[Count]) {
#pragma unroll
        for (int i = 0; i < Count; ++i)
            rows[i] = widened(m_bits[i]);
        fetch(first + Count);
    }

private:
    __device__ void fetch(std::int64_t first) {
#pragma unroll
        for (int i = 0; i < Count; ++i)
            m_bits[i] = m_place.has(first + i) ? *reinterpret_cast<const uint4*>(m_x + (first + i) * m_stride)
                                               : uint4{};
    }

    const __nv_bfloat16* m_x;
    std::int64_t m_stride;
    const RowPlace& m_place;
    uint4 m_bits[Count];
};

/// Sums over all threads of a block.
class Sums {
public:
    /// Replaces each value by its sum; every thread of the block calls it.
    template <int Count>
    __device__ void over(float (&value)[Count]) {
        __shared__ float parts[2][32][Count];
        const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
#pragma unroll
        for (int i = 0; i < Count; ++i) {
            for (int step = 16; step > 0; step /= 2)
                value[i] += __shfl_xor_sync(0xFFFFFFFFU, value[i], step);
            if (lane == 0)
                parts[m_turn][warp][i] = value[i];
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < Count; ++i) {
            value[i] = 0.0F;
            for (unsigned w = 0; w < warps; ++w)
                value[i] += parts[m_turn][w][i];
        }
        // The next round writes the other half: a warp that is late still reads this one.
        m_turn ^= 1;
    }

private:
    unsigned m_turn = 0;
};

inline unsigned slabsOf(std::int64_t tokens) {
    return static_cast<unsigned>((tokens + kRowSlab - 1) / kRowSlab);
}

inline unsigned threadsFor(std::int64_t channels) {
    return static_cast<unsigned>((channels / 8 + 31) / 32 * 32);
}

} // namespace canopy::accel::cuda
