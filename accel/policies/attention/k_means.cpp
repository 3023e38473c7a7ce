#include "accel/policies/attention/k_means.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/unique_dim.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

namespace canopy::accel {

namespace {

/// Distances of so many tokens are held at once.
constexpr std::int64_t kTokensAtOnce = 4096;

/// |c|^2 per centre; infinite for a centre that equals one before it. A product rounds equal columns
/// differently at its edges, and the lower number must win.
at::Tensor normsWithoutTwins(const at::Tensor& centres) {
    const at::Tensor number = at::arange(centres.size(0), centres.options().dtype(at::kLong));
    const at::Tensor group = std::get<1>(at::unique_dim(centres, 0, true, true));
    const at::Tensor first = at::full_like(number, centres.size(0)).scatter_reduce(0, group, number, "amin");
    const at::Tensor isTwin = first.index_select(0, group) != number;
    return centres.square().sum(1).masked_fill(isTwin, std::numeric_limits<double>::infinity());
}

/// Nearest centre of every token: argmin |c|^2 - 2 x c, `norms` = |c|^2.
at::Tensor nearest(const at::Tensor& tokens, const at::Tensor& centres, const at::Tensor& norms) {
    const at::Tensor turned = centres.t() * -2.0;
    std::vector<at::Tensor> parts;
    for (std::int64_t first = 0; first < tokens.size(0); first += kTokensAtOnce) {
        const at::Tensor part = tokens.slice(0, first, std::min(first + kTokensAtOnce, tokens.size(0)));
        parts.push_back(at::addmm(norms, part, turned).argmin(1));
    }
    return at::cat(parts);
}

/// Sums of every cluster's members. On a card index_add has no fixed order, a product has; here it goes token
/// by token through an iterator, several times slower than a loop.
at::Tensor sumsOf(const at::Tensor& tokens, const at::Tensor& labels, std::int64_t count) {
    at::Tensor sums = at::zeros({count, tokens.size(1)}, tokens.options());
    if (tokens.is_cpu()) {
        const std::int64_t depth = tokens.size(1);
        const auto* label = labels.const_data_ptr<std::int64_t>();
        const auto* token = tokens.const_data_ptr<float>();
        auto* sum = sums.mutable_data_ptr<float>();
        for (std::int64_t i = 0; i < tokens.size(0); ++i, token += depth)
            std::transform(token, token + depth, sum + label[i] * depth, sum + label[i] * depth,
                           std::plus<>());
        return sums;
    }
    for (std::int64_t first = 0; first < tokens.size(0); first += kTokensAtOnce) {
        const std::int64_t end = std::min(first + kTokensAtOnce, tokens.size(0));
        const at::Tensor member = at::one_hot(labels.slice(0, first, end), count).to(at::kFloat);
        sums += member.t().matmul(tokens.slice(0, first, end));
    }
    return sums;
}

at::Tensor sizesOf(const at::Tensor& labels, std::int64_t count) {
    // bincount has no fixed order on a card either, but whole numbers add alike in any.
    return labels.bincount({}, count);
}

} // namespace

Clusters lloyd(const at::Tensor& tokensAny, const at::Tensor& start, int iterations) {
    const at::Tensor tokens = tokensAny.to(at::kFloat).contiguous();
    const std::int64_t count = start.size(0);
    Clusters clusters;
    clusters.centres = start;
    for (int i = 0; i < std::max(iterations, 1); ++i) {
        clusters.labels = nearest(tokens, clusters.centres,
                                  i == 0 ? normsWithoutTwins(start) : clusters.centres.square().sum(1));
        clusters.sizes = sizesOf(clusters.labels, count);
        const at::Tensor means =
            sumsOf(tokens, clusters.labels, count) / clusters.sizes.clamp_min(1).unsqueeze(1);
        clusters.centres = at::where(clusters.sizes.unsqueeze(1) > 0, means, clusters.centres);
    }
    return clusters;
}

at::Tensor drawCentres(const at::Tensor& tokens, std::int64_t count, std::uint64_t seed) {
    const at::Tensor order =
        at::randperm(tokens.size(0), at::detail::createCPUGenerator(seed), at::TensorOptions(at::kLong));
    const at::Tensor chosen = order.index_select(0, at::arange(count).remainder(tokens.size(0)));
    return tokens.index_select(0, chosen.to(tokens.device())).to(at::kFloat);
}

} // namespace canopy::accel
