#include "accel/policies/tokens/token_math.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "accel/ops/linear.h"

namespace canopy::accel {
namespace {

/// Euclidean distances between rows [..., n, D] -> float32 [..., n, n]. By |a|^2 + |b|^2 - 2 a b in double
/// precision: in single the difference loses small distances, and without a product it takes ten times as
/// long.
at::Tensor rowDistances(const at::Tensor& x) {
    const auto wide = x.to(at::kDouble);
    const auto products = at::matmul(wide, wide.transpose(-1, -2));
    const auto squares = products.diagonal(0, -2, -1); // [..., n]
    const auto squared = squares.unsqueeze(-1) + squares.unsqueeze(-2) - 2 * products;
    return squared.clamp_min(0).sqrt().to(at::kFloat);
}

} // namespace

at::Tensor unitRows(const at::Tensor& x) {
    return x / at::linalg_vector_norm(x, 2, at::IntArrayRef{-1}, true).clamp_min(1e-12);
}

at::Tensor rowProducts(const at::Tensor& a, const at::Tensor& b) {
    return ops::linear(a, b, {});
}

at::Tensor firstArgmax(const at::Tensor& x) {
    const std::int64_t n = x.size(-1);
    const auto index = at::arange(n, x.options().dtype(at::kLong));
    const auto most = at::scalar_tensor(n, index.options());
    return at::where(x == x.amax(-1, true), index, most).amin(-1).clamp_max(n - 1);
}

at::Tensor largest(const at::Tensor& x, std::int64_t count) {
    const auto ranked = std::get<1>(at::sort(x, /*stable=*/true, /*dim=*/-1, /*descending=*/true));
    return std::get<0>(at::sort(ranked.narrow(-1, 0, count), -1));
}

at::Tensor others(const at::Tensor& chosen, std::int64_t n) {
    std::vector<std::int64_t> shape = chosen.sizes().vec();
    shape.back() = n;
    const auto free = at::ones(shape, chosen.options().dtype(at::kFloat)).scatter(-1, chosen, 0);
    return largest(free, n - chosen.size(-1));
}

GroupMeans groupMeans(const at::Tensor& rows, const at::Tensor& group, std::int64_t groups) {
    const auto index = at::arange(groups, group.options());
    const auto member = (index.unsqueeze(1) == group.unsqueeze(0)).to(rows.scalar_type()); // [m, S]
    GroupMeans result;
    result.count = member.sum(1, true);
    result.means = at::matmul(member, rows) / result.count.clamp_min(1);
    return result;
}

DensityPeaks densityPeaks(const at::Tensor& points, std::int64_t neighbours) {
    const std::int64_t n = points.size(-2);
    DensityPeaks peaks;
    peaks.distance = rowDistances(points) / std::sqrt(static_cast<double>(points.size(-1))); // [..., n, n]
    const auto nearest = std::get<0>(at::sort(peaks.distance, -1)).narrow(-1, 0, std::min(neighbours, n));
    const auto density = (nearest * nearest).mean(-1).neg().exp();     // [..., n]
    const auto denser = density.unsqueeze(-2) > density.unsqueeze(-1); // [..., i, j]: j denser than i
    const auto farthest = peaks.distance.flatten(-2).amax(-1, true).unsqueeze(-1); // [..., 1, 1]
    const auto separation = at::where(denser, peaks.distance, farthest).amin(-1);
    peaks.score = density * separation;
    return peaks;
}

} // namespace canopy::accel
