#pragma once

#include <cstddef>
#include <cstdint>

// Attention over chosen keys on a card, free of LibTorch.
//
//   out[b, i, h] = sum_j softmax_j(scale * q[b, i, h] . k[b, j, g(h)]) * v[b, j, g(h)]    j over the keys i
//   sees
//
// B batch, H query heads, Hk key heads with g(h) = h / (H / Hk), Lq query tokens, Lk key tokens, D head
// dimension, all bfloat16. Scores, softmax and sums are float32; probabilities enter the second product as
// bfloat16.
namespace canopy::accel::cuda {

/// Query tokens of one tile, which is the unit that owns a list of keys.
constexpr std::int32_t kQueryTile = 128;

/// Distances in elements, multiples of 8; the head dimension itself is contiguous. Base pointers are aligned
/// to 16 bytes.
struct TensorStrides {
    std::int64_t batch = 0;
    std::int64_t token = 0;
    std::int64_t head = 0;
};

/// Half-open range of tokens.
struct TokenSpan {
    std::int32_t begin = 0;
    std::int32_t end = 0;
};

enum class KeyListKind : std::int32_t {
    All,       ///< every tile sees keys [0, Lk)
    Causal,    ///< query i sees keys [0, Lk - Lq + i]; Lq <= Lk and no `tiles`
    Blocks128, ///< ascending numbers of blocks of 128 keys
    Blocks64,  ///< ascending numbers of blocks of 64 keys
    Runs,      ///< ascending, disjoint, non-empty spans of keys
};

/// Keys of every (batch, head, query tile), in device memory. Entry e = b * batchStride + h * headStride +
/// tile owns elements [starts[e], starts[e] + counts[e]) of `ids` (blocks) or `spans` (runs). A stride of 0
/// shares entries. Count 0: the tile's output is 0 and its log-sum-exp -inf.
///
/// The last block may be ragged: keys at and beyond Lk are never seen. A span shorter than 128 keys reads
/// (and multiplies by probability 0) up to 127 keys behind its end, so that an infinity or NaN in their v
/// comes through.
struct KeyLists {
    KeyListKind kind = KeyListKind::All;
    const std::uint32_t* starts = nullptr;
    const std::int32_t* counts = nullptr;
    const std::uint16_t* ids = nullptr;
    const TokenSpan* spans = nullptr;
    std::int64_t batchStride = 0;
    std::int64_t headStride = 0;
};

struct BlockAttentionParams {
    const void* q = nullptr; ///< [B, Lq, H, D] through qStrides
    const void* k = nullptr; ///< [B, Lk, Hk, D] through kStrides
    const void* v = nullptr; ///< [B, Lk, Hk, D] through vStrides
    void* out = nullptr;     ///< [B, Lq, H, D] through outStrides; every element is written
    /// [B, H, Lq] contiguous or null. Natural logarithm of sum_j exp(scale * q.k).
    float* logSumExp = nullptr;
    TensorStrides qStrides, kStrides, vStrides, outStrides;
    std::int32_t batch = 0, heads = 0, keyHeads = 0, queryTokens = 0, keyTokens = 0;
    std::int32_t headDim = 0; ///< 64 or 128
    float scale = 1.0F;       ///< above 0

    KeyLists keys;
    /// Tiles of at most kQueryTile query tokens, in device memory: disjoint, together [0, Lq). Null means
    /// tile i is [128 i, min(128 i + 128, Lq)); then tileCount is ceil(Lq / 128).
    const TokenSpan* tiles = nullptr;
    std::int32_t tileCount = 0;

    void* workspace = nullptr; ///< blockAttentionWorkspaceBytes(), aligned to 16 bytes, any content
};

/// Work queue of one call: a ticket counter and an order of all tiles.
constexpr std::size_t blockAttentionWorkspaceBytes(std::int64_t batch, std::int64_t heads,
                                                   std::int64_t tileCount) {
    constexpr std::size_t kCounterBytes = 16;
    return kCounterBytes + sizeof(std::int32_t) * static_cast<std::size_t>(batch * heads * tileCount);
}

/// By wgmma and TMA, for Hopper. Arguments are the caller's promise: accel/ops/attention.h checks them. The
/// result has the same bits on every call.
int blockAttention(const BlockAttentionParams& params, void* stream);

/// The same by mma.sync and cp.async, for cards from compute capability 8.0 on. Runs on Hopper too.
int blockAttentionMma(const BlockAttentionParams& params, void* stream);

} // namespace canopy::accel::cuda
