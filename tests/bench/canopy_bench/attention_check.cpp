#include "tests/bench/canopy_bench/attention_check.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <limits>

namespace canopy::bench {

namespace {

/// LibTorch fills every at::empty with NaN while this lives.
struct PoisonedMemory {
    PoisonedMemory() { at::globalContext().setDeterministicAlgorithms(true, false); }
    ~PoisonedMemory() { at::globalContext().setDeterministicAlgorithms(false, false); }
};

struct Rows {
    at::Tensor out, logSumExp; ///< float64 [R, D] and [R]
};

/// Rows `rows` of head `head` by the definition.
Rows reference(const AttentionCase& what, const AttentionProblem& problem, std::int64_t head,
               const at::Tensor& rows) {
    const at::Tensor q = problem.q[0].select(1, head).index_select(0, rows).to(at::kDouble);
    const at::Tensor k = problem.k[0].select(1, head).to(at::kDouble);
    const at::Tensor v = problem.v[0].select(1, head).to(at::kDouble);
    at::Tensor scores = q.matmul(k.t()) / std::sqrt(static_cast<double>(what.depth)); // [R, L]
    if (problem.chosen.defined()) {
        const at::Tensor blocks =
            problem.chosen[head].to(rows.device()).index_select(0, rows.floor_divide(128));
        const at::Tensor visible = blocks.repeat_interleave(what.blockRows, 1).slice(1, 0, what.tokens);
        scores.masked_fill_(visible.logical_not(), -std::numeric_limits<double>::infinity());
    }
    // A row that sees nothing gives 0 and -inf.
    const at::Tensor sums = scores.logsumexp(1);
    const at::Tensor weights = (scores - sums.unsqueeze(1)).exp().nan_to_num(0.0);
    return {weights.matmul(v), sums};
}

} // namespace

CheckResult check(const AttentionCase& what, const AttentionProblem& problem) {
    constexpr std::int64_t kRows = 512;
    accel::ops::AttentionOutput got;
    {
        const PoisonedMemory poisoned;
        got = accel::ops::attentionWithLogSumExp(problem.q, problem.k, problem.v, problem.options);
    }
    CheckResult result;
    result.unwritten = (at::isnan(got.out).sum() + at::isnan(got.logSumExp).sum()).item<std::int64_t>();

    double error = 0, size = 0;
    bool infinitiesAgree = true;
    const std::int64_t perHead = std::max<std::int64_t>(1, kRows / what.heads);
    for (std::int64_t head = 0; head < what.heads; ++head) {
        // Random rows and the last ones, which lie in a ragged block.
        const std::int64_t ends = std::min<std::int64_t>(what.tokens, perHead / 4 + 1);
        const auto place = at::TensorOptions(at::kLong).device(problem.q.device());
        const at::Tensor rows = at::cat({at::randint(0, what.tokens, {perHead}, place),
                                         at::arange(what.tokens - ends, what.tokens, place)});
        const Rows expected = reference(what, problem, head, rows);
        const at::Tensor out = got.out[0].select(1, head).index_select(0, rows).to(at::kDouble);
        error += (out - expected.out).square().sum().item<double>();
        size += expected.out.square().sum().item<double>();
        const at::Tensor sums = got.logSumExp[0][head].index_select(0, rows).to(at::kDouble);
        infinitiesAgree = infinitiesAgree && sums.isinf().equal(expected.logSumExp.isinf());
        const at::Tensor difference = (sums - expected.logSumExp).nan_to_num(0.0).abs();
        result.sumError = std::max(result.sumError, difference.max().item<double>());
    }
    result.relativeError = size > 0 ? std::sqrt(error / size) : std::sqrt(error);
    if (result.unwritten > 0)
        result.reason = std::to_string(result.unwritten) + " elements are NaN";
    else if (!infinitiesAgree)
        result.reason = "-inf sums are not those of rows without keys";
    else if (!(result.relativeError < 1e-2))
        result.reason = "relative error above 1e-2";
    else if (!(result.sumError < 1e-3))
        result.reason = "log-sum-exp off by more than 1e-3";
    result.passed = result.reason.empty();
    return result;
}

} // namespace canopy::bench
