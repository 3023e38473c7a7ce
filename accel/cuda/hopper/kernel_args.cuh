#pragma once

#include <cuda.h>

#include <cstdint>

#include "accel/cuda/block_attention.h"

namespace canopy::accel::cuda::hopper {

/// Key tokens of one stage, the tile that one pair of products works on.
constexpr int kStageRows = 128;
/// Rows and columns of a TMA box; a stage is two boxes high. 64 bfloat16 columns are one swizzled row of 128
/// bytes.
constexpr int kBoxRows = 64, kBoxColumns = 64;

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

/// Number `index` of all tiles, (b * H + h) * tileCount + tile.
struct TileIndex {
    std::int32_t batch, head, tile;
};

__device__ __forceinline__ TileIndex tileIndex(std::int32_t index, std::int32_t heads,
                                               std::int32_t tileCount) {
    const std::int32_t row = index / tileCount;
    return {row / heads, row % heads, index % tileCount};
}

__device__ __forceinline__ std::int64_t entryOf(const KeyLists& keys, const TileIndex& at) {
    return at.batch * keys.batchStride + at.head * keys.headStride + at.tile;
}

} // namespace canopy::accel::cuda::hopper
