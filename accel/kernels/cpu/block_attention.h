#pragma once

#include <cstddef>
#include <cstdint>

#include "accel/kernels/cpu/kernel_set.h"
#include "accel/kernels/cpu/parallel_workers.h"

// Attention on the CPU over chosen blocks of keys, free of LibTorch.
//
//   out[b, i, h] = sum_j softmax_j(scale * q[b, i, h] . k[b, j, h]) * v[b, j, h]     j over the keys i may
//   see
//
// B batch, H heads, Lq query tokens, Lk key tokens, D head dimension. Scores, softmax and sums are float32
// for both storage types; with bfloat16 on an AVX-512 BF16 processor probabilities enter the second product
// as bfloat16.
namespace canopy::accel::kernels {

/// Query and key tokens per block of a block list; the last block of a sequence may be shorter.
constexpr std::int64_t kAttentionBlock = 128;
constexpr std::int64_t kMaxAttentionHeadDim = 512;

/// Distances in elements; the head dimension itself is contiguous.
struct AttentionStrides {
    std::int64_t batch = 0;
    std::int64_t token = 0;
    std::int64_t head = 0;
};

/// Half-open range of key tokens. With bfloat16 pairs an odd end shares a unit with the token beside it,
/// whose probability is 0: only an infinity or NaN in that token's v would come through.
struct KeyRun {
    std::int64_t begin = 0;
    std::int64_t end = 0;
};

/// Query tokens [begin, end) see the keys of runs[firstRun, firstRun + runCount), ascending and disjoint.
struct QueryRange {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::int64_t firstRun = 0;
    std::int64_t runCount = 0;
};

struct BlockAttentionParams {
    const void* q = nullptr; ///< [B, Lq, H, D] through qStrides
    const void* k = nullptr; ///< [B, Lk, kvHeads, D] through kStrides
    const void* v = nullptr; ///< [B, Lk, kvHeads, D] through vStrides
    void* out = nullptr;     ///< [B, Lq, H, D] through outStrides; every element is written
    /// [B, H, Lq] contiguous or null. Natural logarithm of sum_j exp(scale * q.k), so that partial results
    /// merge; -inf where a query sees no key (its output is 0).
    float* logSumExp = nullptr;
    AttentionStrides qStrides, kStrides, vStrides, outStrides;
    StorageDtype dtype = StorageDtype::Float32;
    std::int64_t batch = 0, heads = 0, queryTokens = 0, keyTokens = 0;
    /// Heads of k and v, a divisor of `heads`: query head h reads key head h / (heads / kvHeads).
    std::int64_t kvHeads = 0;
    std::int64_t headDim = 0; ///< a multiple of 8, at most kMaxAttentionHeadDim
    float scale = 1.0F;

    /// Block lists: entry e = (b * H + h) * queryBlocks + queryBlock owns keyBlockIds[offsets[e], offsets[e +
    /// 1]), ascending block numbers. Both null means dense. Not together with query ranges.
    const std::int64_t* keyBlockOffsets = nullptr;
    const std::int32_t* keyBlockIds = nullptr;

    /// Ranges shared by all batches and heads: ascending, disjoint, together exactly [0, Lq). Null means
    /// none.
    const QueryRange* queryRanges = nullptr;
    std::int64_t queryRangeCount = 0;
    const KeyRun* keyRuns = nullptr;

    /// Query i sees keys [0, Lk - Lq + i], the last query all of them; needs Lq <= Lk. Not together with
    /// block lists or ranges.
    bool causal = false;

    KernelSet kernelSet = KernelSet::Portable; ///< one that isSupported() accepts
};

/// Bytes that blockAttention() wants as scratch: packed keys and values of as many heads as fit 24 MiB (at
/// least one head: 4 Lk D bytes for bfloat16, 8 for float32), and per worker at most 0.6 MiB.
std::size_t blockAttentionScratchBytes(const BlockAttentionParams& params, int workers);

/// `scratch` needs no alignment and no initialisation. The result has the same bits for any number of
/// workers. Arguments are the caller's promise (asserted, not reported): accel/ops/attention.h checks them.
void blockAttention(const BlockAttentionParams& params, const ParallelWorkers& parallel, void* scratch);

} // namespace canopy::accel::kernels
