#pragma once

#include <cstddef>
#include <cstdint>

// What one instruction set offers to block_attention.cpp. This header is included by files compiled for a
// wider instruction set than the program's: it must hold declarations only, since an inline function emitted
// there could be the copy that the linker keeps for everybody.
namespace canopy::accel::kernels {

/// Keys [begin, begin + count) of one head: never crosses a multiple of 128 keys.
struct KeyPiece {
    std::int32_t begin;
    std::int32_t count;
};

/// One work item: up to 128 queries of one head against a list of pieces.
struct AttentionItem {
    const void* q; ///< first query, rows qStride elements apart
    std::int64_t qStride;
    void* out;
    std::int64_t outStride;
    float* logSumExp; ///< or null
    int queries;
    int headDim;
    bool halfStorage; ///< q and out are bfloat16, otherwise float32
    float scale;
    const void* keys;   ///< as packKeys wrote them
    const void* values; ///< as packValues wrote them
    const KeyPiece* pieces;
    std::int64_t pieceCount;
    /// Causal: query i of the item sees keys [0, visibleKeys + i); the pieces then begin at key 0. -1: every
    /// query sees every piece.
    std::int64_t visibleKeys;
    void* scratch; ///< scratchBytes(headDim), 64-byte aligned
};

/// Packed rows are 4-byte units: one float32 or two bfloat16. `packedTokens` is the token count padded by
/// paddedTokens(); padding is zero. Pack functions fill tokens [first, first + count), a multiple of 128
/// unless last.
struct AttentionKernels {
    bool packsHalf; ///< two bfloat16 per unit
    std::size_t (*scratchBytes)(int headDim);
    /// [token][D / step]
    void (*packKeys)(const void* src, std::int64_t stride, bool halfStorage, std::int64_t tokens, int headDim,
                     std::int64_t first, std::int64_t count, void* packed);
    /// [token / step][D], a unit holds the same column of `step` neighbouring tokens; of kAmxHalf
    /// [token / 32][D][16]
    void (*packValues)(const void* src, std::int64_t stride, bool halfStorage, std::int64_t tokens,
                       int headDim, std::int64_t first, std::int64_t count, void* packed);
    void (*runItem)(const AttentionItem& item);
};

extern const AttentionKernels kPortableFloat;
#if CANOPY_X86_KERNELS
extern const AttentionKernels kAvx2Float;
extern const AttentionKernels kAvx512Float;
extern const AttentionKernels kAvx512Half;
extern const AttentionKernels kAmxHalf; ///< head dimensions that are multiples of 32
#endif

} // namespace canopy::accel::kernels
