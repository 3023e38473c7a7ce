#include "accel/reference/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace canopy::accel::reference {
namespace {

constexpr std::int64_t kChunk = 512; ///< queries at once

} // namespace

AttentionResult attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                          const AttentionMask& mask) {
    const at::Tensor query = q.to(at::kFloat).transpose(1, 2);      // [B, H, Lq, D]
    const at::Tensor keys = k.to(at::kFloat).permute({0, 2, 3, 1}); // [B, H, D, Lk]
    const at::Tensor values = v.to(at::kFloat).transpose(1, 2);     // [B, H, Lk, D]
    std::vector<at::Tensor> outs;
    std::vector<at::Tensor> sums;
    for (std::int64_t begin = 0; begin < q.size(1); begin += kChunk) {
        const std::int64_t end = std::min(begin + kChunk, q.size(1));
        at::Tensor scores = at::matmul(query.slice(2, begin, end), keys) * scale; // [B, H, chunk, Lk]
        if (mask) {
            const at::Tensor visible = mask(begin, end);
            if (visible.defined())
                scores = scores.masked_fill(visible.logical_not(), -std::numeric_limits<double>::infinity());
        }
        const at::Tensor sum = at::logsumexp(scores, -1); // [B, H, chunk]
        // exp(-inf - -inf) would be NaN where a query sees nothing; its probabilities are 0.
        at::Tensor probabilities = at::exp(scores - sum.unsqueeze(-1));
        probabilities = at::where(sum.isneginf().unsqueeze(-1), at::zeros_like(probabilities), probabilities);
        outs.push_back(at::matmul(probabilities, values));
        sums.push_back(sum);
    }
    return {at::cat(outs, 2).transpose(1, 2).contiguous(), at::cat(sums, 2)};
}

} // namespace canopy::accel::reference
