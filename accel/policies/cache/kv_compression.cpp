#include "accel/policies/cache/kv_compression.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/max_pool1d.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "accel/nn/forward_context.h"
#include "accel/nn/kv_pool.h"

namespace canopy::accel {

namespace {

constexpr std::int64_t kObservedTokens = 50;
constexpr std::int64_t kQueryTile = 64;
constexpr double kPower = 3;

std::int64_t unitTokens(const KvCompressionSettings& settings) {
    switch (settings.unit) {
    case KeptUnit::Token:
        return 1;
    case KeptUnit::Frame:
        return settings.frameTokens;
    case KeptUnit::Chunk:
        return settings.chunkTokens;
    }
    return 1;
}

/// Weights [L] of positions 0 .. 1.
at::Tensor positionWeights(PositionWeighting weighting, const at::Tensor& u, std::int64_t count) {
    switch (weighting) {
    case PositionWeighting::Exponential:
        return 0.1 + 0.9 * (1 - at::exp(-2 * u)) / (1 - std::exp(-2.0));
    case PositionWeighting::Polynomial:
        return 0.1 + 0.9 * at::pow(u, kPower);
    case PositionWeighting::UpperConvex:
        return 2 * (1 - at::pow(1 - u, kPower));
    case PositionWeighting::Gaussian: {
        const auto decay = at::exp(-0.5 * at::pow(u * (static_cast<double>(count - 1) / (count / 4.0)), 2));
        const auto low = decay.min();
        return 0.1 + 0.9 * (decay - low) / (decay.max() - low);
    }
    case PositionWeighting::None:
    case PositionWeighting::HardCode:
        break;
    }
    return u.new_ones({count});
}

at::Tensor weighted(const at::Tensor& scores, const KvCompressionSettings& settings) {
    const std::int64_t count = scores.size(1);
    if (settings.weighting == PositionWeighting::None || count < 2)
        return scores;
    auto shifted = scores - scores.amin({1}, true);
    if (settings.weighting == PositionWeighting::HardCode) {
        shifted.narrow(1, 0, std::min(settings.chunkTokens, count)).sub_(1e6);
        return shifted;
    }
    const auto u = at::arange(count, scores.options()) / static_cast<double>(count - 1);
    return shifted * positionWeights(settings.weighting, u, count);
}

} // namespace

at::Tensor observedQueries(const at::Tensor& queries, const KvCompressionSettings& settings) {
    std::int64_t count = queries.size(0);
    if (settings.queries == ObservedQueries::Tokens)
        count = std::min(count, kObservedTokens);
    else if (settings.queries == ObservedQueries::Frame)
        count = std::min(count, settings.frameTokens);
    return queries.narrow(0, queries.size(0) - count, count);
}

at::Tensor keyImportance(const at::Tensor& queries, const at::Tensor& keys) {
    const std::int64_t heads = keys.size(1);
    const std::int64_t group = queries.size(1) / heads;
    if (group * heads != queries.size(1)) {
        throw std::invalid_argument(std::to_string(queries.size(1)) + " query heads cannot share " +
                                    std::to_string(heads) + " key heads");
    }
    const auto k = keys.to(at::kFloat).permute({1, 2, 0}).unsqueeze(1); // [H, 1, D, L]
    const double scale = 1 / std::sqrt(static_cast<double>(keys.size(2)));
    auto sum = at::zeros({heads, keys.size(0)}, k.options());
    for (std::int64_t first = 0; first < queries.size(0); first += kQueryTile) {
        const std::int64_t rows = std::min(kQueryTile, queries.size(0) - first);
        const auto q = queries.narrow(0, first, rows)
                           .to(at::kFloat)
                           .view({rows, heads, group, keys.size(2)})
                           .permute({1, 2, 0, 3});                   // [H, group, rows, D]
        const auto logits = at::amax(at::matmul(q, k) * scale, {1}); // [H, rows, L]
        sum += at::softmax(logits, -1).sum(1);
    }
    return sum / static_cast<double>(queries.size(0));
}

at::Tensor meanCosine(const at::Tensor& keys) {
    const auto k = keys.to(at::kFloat);
    const auto unit = k / (k.norm(2, -1, true) + 1e-8);
    const auto total = unit.sum(0, true);                     // [1, H, D]
    return (((unit * total).sum(-1) - 1) / keys.size(0)).t(); // [H, L]
}

at::Tensor keyScores(const at::Tensor& queries, const at::Tensor& keys,
                     const KvCompressionSettings& settings) {
    const int kernel = settings.poolKernel;
    const auto importance = keyImportance(observedQueries(queries, settings), keys);
    const auto pooled = at::max_pool1d(importance.unsqueeze(0), kernel, 1, kernel / 2).squeeze(0);
    return settings.lambda * pooled - (1 - settings.lambda) * at::softmax(meanCosine(keys), -1);
}

at::Tensor keptKeys(const at::Tensor& scores, std::int64_t budget, const KvCompressionSettings& settings) {
    const std::int64_t unit = unitTokens(settings);
    const std::int64_t count = scores.size(1);
    if (budget < 1 || budget > count)
        throw std::invalid_argument("a budget of " + std::to_string(budget) + " of " + std::to_string(count) +
                                    " keys keeps nothing or more than there is");
    if (unit < 1 || budget % unit != 0 || count % unit != 0) {
        throw std::invalid_argument("a budget of " + std::to_string(budget) + " of " + std::to_string(count) +
                                    " keys is no whole number of units of " + std::to_string(unit));
    }
    const auto wide = scores.to(at::kDouble);
    if (unit == 1) {
        const auto best = std::get<1>(at::topk(weighted(wide, settings), budget, 1));
        return std::get<0>(at::sort(best, 1));
    }
    const auto groups = wide.view({scores.size(0), count / unit, unit}).mean(-1);
    const auto best = std::get<0>(at::sort(std::get<1>(at::topk(groups, budget / unit, 1)), 1));
    const auto offsets = at::arange(unit, best.options());
    return (best.unsqueeze(-1) * unit + offsets).reshape({scores.size(0), budget});
}

void compressClean(KvPool& pool, int lastClean, std::int64_t budget, int layers,
                   const std::vector<at::Tensor>& queries, const KvCompressionSettings& settings) {
    const auto slots = static_cast<std::size_t>(layers) * static_cast<std::size_t>(pool.branches());
    if (queries.size() < slots)
        throw std::invalid_argument("compression needs one set of queries per branch and layer");
    pool.joinUpTo(lastClean);
    std::vector<at::Tensor> kept;
    for (std::size_t slot = 0; slot < slots; ++slot) {
        const auto layer = static_cast<int>(slot % static_cast<std::size_t>(layers));
        const auto branch = slot < static_cast<std::size_t>(layers) ? Branch::Prompt : Branch::Negative;
        if (!queries[slot].defined()) {
            if (branch == Branch::Prompt)
                throw std::invalid_argument("compression needs the queries of the prompt's branch");
            kept.push_back(kept[static_cast<std::size_t>(layer)]);
            continue;
        }
        const auto keys = pool.upTo(branch, layer, lastClean).first;
        kept.push_back(keptKeys(keyScores(queries[slot], keys, settings), budget, settings));
    }
    pool.compact(lastClean, kept);
}

void keepWindow(KvPool& pool, int lastClean, int chunks) {
    std::vector<int> old;
    for (const auto& range : pool.ranges()) {
        if (range.chunk <= lastClean - chunks)
            old.push_back(range.chunk);
    }
    for (const int chunk : old)
        pool.drop(chunk);
}

} // namespace canopy::accel
