#pragma once

#include <cstddef>
#include <cstdint>

#include "accel/kernels/cpu/block_attention.h"

// Antidiagonal estimate of attention's mass per block of keys (XAttention, arXiv 2503.16428) on the CPU, free
// of LibTorch. With cells of S tokens, blocks of 128 tokens, per (batch, head):
//
//   R[m, n] = sum_i q[m S + S - 1 - i] . k[n S + i]          m, n cells; missing tokens of a last cell are 0
//   P[m, n] = softmax_n(scale * R[m, n] / S)
//   A[I, J] = sum of P over the cells of query block I and key block J
namespace canopy::accel::kernels {

struct BlockScoreParams {
    const void* q = nullptr;  ///< [B, L, H, D] through qStrides
    const void* k = nullptr;  ///< [B, L, H, D] through kStrides
    float* weights = nullptr; ///< A [B, H, blocks, blocks] contiguous; every element is written
    AttentionStrides qStrides, kStrides;
    StorageDtype dtype = StorageDtype::Float32;
    std::int64_t batch = 0, heads = 0;
    std::int64_t tokens = 0;                   ///< L, above 0
    std::int64_t headDim = 0;                  ///< a multiple of 8, at most kMaxAttentionHeadDim
    std::int64_t stride = 8;                   ///< S, 8 or 16
    float scale = 1.0F;                        ///< above 0
    KernelSet kernelSet = KernelSet::Portable; ///< one that isSupported() accepts
};

/// Bytes that blockScore() wants as scratch: packed keys of as many heads as fit 24 MiB (at least one head: 2
/// L D bytes for bfloat16, 4 for float32), and per worker the scores of 32 cells of queries.
std::size_t blockScoreScratchBytes(const BlockScoreParams& params, int workers);

/// Products, softmax and sums in one pass per 32 cells of queries, whose scores alone are held; no reordered
/// queries or keys are written. `scratch` needs no alignment and no initialisation. The result has the same
/// bits for any number of workers. Arguments are the caller's promise: accel/ops/block_score.h checks them.
void blockScore(const BlockScoreParams& params, const ParallelWorkers& parallel, void* scratch);

} // namespace canopy::accel::kernels
