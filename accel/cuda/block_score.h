#pragma once

#include <cstddef>
#include <cstdint>

#include "accel/cuda/block_attention.h"

// Antidiagonal estimate of attention's mass per block of keys, and the choice of blocks by it (XAttention,
// arXiv 2503.16428). Token index t = c S + i: cell c of S tokens. Per (batch, head):
//
//   R[m, n] = sum_i q[m S + S - 1 - i] . k[n S + i]          m, n cells
//   P[m, n] = softmax_n(scale * R[m, n] / S)
//   A[I, J] = sum of P over the cells of query block I and key block J, blocks of 128 tokens
//
// Chosen for query block I: the shortest prefix of its key blocks, by falling A and rising number, whose sum
// reaches tau of all; that is, block J unless those before it reach it already. Or a fixed number of the
// best.
namespace canopy::accel::cuda {

constexpr std::int32_t kScoreBlock = 128;
/// Key blocks that the choice can rank.
constexpr std::int32_t kMostScoreBlocks = 1024;

struct BlockScoreParams {
    const void* q = nullptr; ///< bfloat16 [B, L, H, D] through qStrides
    const void* k = nullptr; ///< bfloat16 [B, L, H, D] through kStrides
    TensorStrides qStrides, kStrides;
    std::int32_t batch = 0, heads = 0;
    std::int32_t tokens = 0;  ///< L, a multiple of `stride`; at most 128 kMostScoreBlocks
    std::int32_t headDim = 0; ///< 64 or 128
    std::int32_t stride = 8;  ///< S, 8 or 16
    float scale = 1.0F;       ///< above 0

    const float* tau = nullptr; ///< [H] on the card; 1 or more keeps every block
    /// Above 0: every row keeps that many best blocks, at most all, and tau is not read.
    std::int32_t keptBlocks = 0;
    bool keepsFirst = false;    ///< key block 0 is always chosen
    bool keepsDiagonal = false; ///< and the query block's own

    /// [B * H] on the card, or null: heads of 0 keep the lists and weights that are there already.
    const std::uint8_t* wanted = nullptr;

    void* workspace = nullptr; ///< blockScoreWorkspaceBytes(), aligned to 16 bytes, any content

    float* weights = nullptr; ///< A [B, H, blocks, blocks] or null
    // Lists as KeyLists of kind Blocks128 takes them; entry (b * H + h) * blocks + I starts at its number
    // times listRoom().
    std::uint32_t* starts = nullptr; ///< [B * H * blocks]
    std::int32_t* counts = nullptr;  ///< [B * H * blocks]
    std::uint16_t* ids = nullptr;    ///< [B * H * blocks * listRoom()]
};

/// Cells of keys that one tile of the estimate covers. A row's exponentials are summed per block against the
/// maximum of its tile; sums and maxima meet in the choice.
constexpr std::int32_t kScoreTileCells = 256;

constexpr std::int64_t scoreTiles(std::int64_t tokens, std::int64_t stride) {
    return (tokens / stride + kScoreTileCells - 1) / kScoreTileCells;
}

/// Numbers that a list has room for.
constexpr std::int64_t listRoom(std::int64_t blocks, bool keepsFirst, bool keepsDiagonal,
                                std::int64_t keptBlocks) {
    const std::int64_t most = keptBlocks > 0 ? keptBlocks + keepsFirst + keepsDiagonal : blocks;
    return most < blocks ? most : blocks;
}

/// Per (batch, head, cell) a sum for each key block and a maximum for each tile, float32.
constexpr std::size_t blockScoreWorkspaceBytes(std::int64_t batch, std::int64_t heads, std::int64_t tokens,
                                               std::int64_t stride) {
    const std::int64_t perCell = scoreTiles(tokens, stride) * (kScoreTileCells * stride / kScoreBlock + 1);
    return sizeof(float) * static_cast<std::size_t>(batch * heads * (tokens / stride) * perCell);
}

/// KernelTable::blockScore. Arguments are the caller's promise: accel/ops/block_score.h checks them. The
/// result has the same bits on every call.
int blockScore(const BlockScoreParams& params, void* stream);

} // namespace canopy::accel::cuda
