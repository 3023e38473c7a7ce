#include "tests/bench/canopy_bench/estimate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/full.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <tuple>

#include "accel/ops/block_score.h"

namespace canopy::bench {

namespace {

at::Tensor cellsOf(const at::Tensor& x, std::int64_t stride, bool reversed) {
    const at::Tensor cells = x[0].unflatten(0, {-1, stride});                   // [cells, S, H, D]
    return (reversed ? cells.flip(1) : cells).permute({2, 0, 1, 3}).flatten(2); // [H, cells, S D]
}

/// [H, query blocks, key blocks] bool. Whole blocks of 128 tokens only.
at::Tensor eagerChoice(const at::Tensor& q, const at::Tensor& k, std::int64_t stride, double tau) {
    const double scale = 1.0 / (std::sqrt(static_cast<double>(q.size(3))) * static_cast<double>(stride));
    const at::Tensor scores =
        cellsOf(q, stride, true).matmul(cellsOf(k, stride, false).transpose(1, 2)) * scale; // bfloat16
    const at::Tensor weights = at::softmax(scores, 2, at::kFloat)
                                   .unflatten(2, {-1, 128 / stride})
                                   .sum(3)
                                   .unflatten(1, {-1, 128 / stride})
                                   .sum(2);
    const auto [sorted, order] = at::sort(weights, /*stable=*/true, 2, /*descending=*/true);
    const at::Tensor before = at::cumsum(sorted, 2) - sorted;
    const at::Tensor keep = before < weights.sum(2, true) * tau;
    return at::zeros_like(keep).scatter(2, order, keep);
}

} // namespace

std::vector<EstimateCase> estimateCases(bool quick) {
    std::vector<EstimateCase> cases{{{"estimate, S 8", 12, 32'768}, 8}, {{"estimate, S 16", 12, 32'768}, 16}};
    if (!quick)
        cases.push_back({{"estimate, S 16, 590 blocks", 12, 75'520}, 16});
    return cases;
}

std::vector<Contender> estimateContenders(const EstimateCase& estimate, const AttentionProblem& problem) {
    const AttentionCase& what = estimate.what;
    const double cells = static_cast<double>(what.tokens / estimate.stride);
    const double flop = 2.0 * static_cast<double>(what.heads * what.depth * estimate.stride) * cells * cells;
    accel::ops::BlockScoreOptions options;
    options.stride = estimate.stride;
    options.tau = at::full({what.heads}, estimate.tau, problem.q.options().dtype(at::kFloat));
    return {{"eager", "matmul, softmax, sum, sort, cumsum, scatter", flop,
             [p = problem, estimate] { eagerChoice(p.q, p.k, estimate.stride, estimate.tau); }},
            {"ours", "scoreKernel<" + std::to_string(estimate.stride) + "> + selectKernel", flop,
             [p = problem, options] { accel::ops::chooseBlocks(p.q, p.k, options); }}};
}

} // namespace canopy::bench
