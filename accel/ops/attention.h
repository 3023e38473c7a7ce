#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "accel/kernels/cpu/block_attention.h"

namespace canopy::accel::ops {

/// Query tokens [queryBegin, queryEnd) see the keys of `keys`: ascending, disjoint, possibly none.
struct VisibleKeys {
    std::int64_t queryBegin = 0;
    std::int64_t queryEnd = 0;
    std::vector<kernels::KeyRun> keys;
};

/// Chosen blocks of keys that a kernel wrote on the card, so that no host ever reads them. Entry e = (b * H +
/// h) * ceil(Lq / 128) + block of 128 queries owns ids[starts[e], starts[e] + counts[e]), ascending numbers
/// of blocks that hold at least one key. Their content is trusted: what breaks this spoils its own entry's
/// output.
struct CardKeyLists {
    std::int64_t blockRows = 128; ///< keys per block, 64 or 128
    at::Tensor starts;            ///< int32 [B * H * ceil(Lq / 128)]
    at::Tensor counts;            ///< int32 [B * H * ceil(Lq / 128)]
    at::Tensor ids;               ///< uint16
};

struct AttentionOptions {
    std::optional<double> scale; ///< 1 / sqrt(D) when absent

    /// Chosen blocks of kernels::kAttentionBlock keys per (batch, head, query block), all heads in one list:
    /// entry e = (b * H + h) * ceil(Lq / 128) + block owns ids[offsets[e], offsets[e + 1]), ascending.
    at::Tensor keyBlockOffsets; ///< int64 [B * H * ceil(Lq / 128) + 1] on the CPU; undefined means dense
    at::Tensor keyBlockIds;     ///< int32 on the CPU
    std::optional<CardKeyLists> cardLists; ///< instead of the two above; hasCardKernel() says where

    /// Block-causal chunks and windows: ranges of queries, ascending, together exactly [0, Lq), the same for
    /// every batch row and head. Empty means dense. Not together with lists.
    std::vector<VisibleKeys> ranges;

    /// Query i sees keys [0, Lk - Lq + i], the last query all of them. Needs Lq <= Lk; not together with
    /// block lists or ranges.
    bool causal = false;

    std::optional<kernels::KernelSet> kernelSet; ///< of the CPU; kernels::bestKernelSet() when absent
};

struct AttentionOutput {
    at::Tensor out; ///< [B, Lq, H, D] contiguous, q's dtype
    at::Tensor
        logSumExp; ///< [B, H, Lq] float32, natural logarithm of the summed exponentials; -inf without keys
};

/// softmax(scale q k^T) v. q [B, Lq, H, D], k and v [B, Lk, H, D]: the view of a projection's output, so
/// neither input nor output is transposed and out.flatten(2) is free. Any strides with a contiguous last
/// dimension (others are copied first). A query that sees no key gives 0. k and v may have fewer heads, a
/// divisor G of H: query head h then reads head h / (H / G), without copies of keys and values.
///
/// CPU: our kernels, for float32 and bfloat16 with D a multiple of 8 up to 512; the float32 reference
/// otherwise. CUDA: our kernel for bfloat16 with D 64 or 128 on a Hopper card (isCardKernelFastest() names
/// the exception), and on others for lists, log-sum-exp and causal with 1 < Lq < Lk. Otherwise LibTorch's
/// scaled_dot_product_attention, range by range; block lists, and causal with 1 < Lq < Lk, by the reference
/// under an expanded mask. Throws c10::Error on arguments that do not fit together.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const AttentionOptions& options = {});

/// The same with the log-sum-exp, so that partial results over disjoint keys can be merged. On CUDA by our
/// kernel or the reference.
AttentionOutput attentionWithLogSumExp(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const AttentionOptions& options = {});

} // namespace canopy::accel::ops
