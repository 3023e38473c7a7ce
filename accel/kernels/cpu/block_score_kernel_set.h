#pragma once

#include <cstddef>
#include <cstdint>

// What one instruction set offers to block_score.cpp. Declarations only, as attention_kernel_set.h. Keys are
// packed by the attention kernels of the same set: the S packed rows of a cell are one row of S D channels.
namespace canopy::accel::kernels {

/// Cells of queries in one work item, and what packed cells of keys are padded to with zeros.
constexpr std::int64_t kScoreItemCells = 32;

struct BlockScoreItem {
    const void* q; ///< the head's token 0, tokens qStride elements apart
    std::int64_t qStride;
    std::int64_t tokens;
    int headDim;
    bool halfStorage; ///< q is bfloat16, otherwise float32
    int stride;       ///< S
    float scale;      ///< of R: scale / S
    std::int64_t firstCell;
    const void* keys;
    float* weights;      ///< the row of A that firstCell belongs to
    std::int64_t blocks; ///< of a row of A
    void* scratch;       ///< scratchBytes(), 64-byte aligned
};

struct BlockScoreKernels {
    std::size_t (*scratchBytes)(std::int64_t tokens, int headDim, int stride);
    void (*runItem)(const BlockScoreItem& item);
};

extern const BlockScoreKernels kPortableFloatScore;
#if CANOPY_X86_KERNELS
extern const BlockScoreKernels kAvx2FloatScore;
extern const BlockScoreKernels kAvx512FloatScore;
extern const BlockScoreKernels kAvx512HalfScore;
extern const BlockScoreKernels kAmxHalfScore;
#endif

} // namespace canopy::accel::kernels
