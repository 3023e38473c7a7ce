#pragma once

#include <cuda.h>

#include <cstdint>

#include "accel/cuda/key_walk.cuh"

namespace canopy::accel::cuda::hopper {

/// 64 bfloat16 columns are one swizzled row of 128 bytes.
constexpr int kBoxColumns = 64;

/// What a kernel needs of a call. Tensor maps are [B, heads, tokens, D] with boxes of kBoxRows x kBoxColumns.
struct KernelArgs {
    CUtensorMap q, k, v;
    void* out;
    float* logSumExp;
    TensorStrides outStrides;
    KeyLists keys;
    const TokenSpan* tiles;
    std::int32_t* ticket;          ///< counts tiles handed out; 0 at the start
    const std::int32_t* order;     ///< tile numbers, longest first; null for ascending
    std::int32_t tileCount, items; ///< items = B H tileCount
    std::int32_t heads, headsPerKeyHead;
    std::int32_t queryTokens, keyTokens;
    float scaleLog2; ///< scale * log2(e)
};

} // namespace canopy::accel::cuda::hopper
