#include "accel/reference/block_score.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <vector>

namespace canopy::accel::reference {

namespace {

/// [B, L, H, D] to [B, H, cells, S * D] float32: a cell's tokens side by side.
at::Tensor cellsOf(const at::Tensor& x, std::int64_t stride, bool reversed) {
    const std::int64_t missing = (stride - x.size(1) % stride) % stride;
    at::Tensor cells = x.to(at::kFloat);
    if (missing > 0)
        cells = at::constant_pad_nd(cells, {0, 0, 0, 0, 0, missing});
    cells = cells.unflatten(1, {-1, stride}); // [B, cells, S, H, D]
    if (reversed)
        cells = cells.flip(2);
    return cells.permute({0, 3, 1, 2, 4}).flatten(3);
}

/// Sums of groups of `size` along `dim`; the last group may be smaller.
at::Tensor sumGroups(const at::Tensor& x, std::int64_t dim, std::int64_t size) {
    const std::int64_t missing = (size - x.size(dim) % size) % size;
    if (missing == 0)
        return x.unflatten(dim, {-1, size}).sum(dim + 1);
    std::vector<std::int64_t> padding(static_cast<std::size_t>(2 * (x.dim() - dim)), 0);
    padding.back() = missing;
    return at::constant_pad_nd(x, padding).unflatten(dim, {-1, size}).sum(dim + 1);
}

} // namespace

at::Tensor blockWeights(const at::Tensor& q, const at::Tensor& k, double scale, std::int64_t stride) {
    const at::Tensor rows = cellsOf(q, stride, true) * (scale / static_cast<double>(stride));
    const at::Tensor columns = cellsOf(k, stride, false).transpose(2, 3);
    const std::int64_t perBlock = kScoreBlock / stride;
    // Some query blocks at a time: the cells' scores of a long clip would fill gigabytes.
    constexpr std::int64_t kScoresAtOnce = 1 << 20;
    const std::int64_t perPart =
        perBlock * std::max<std::int64_t>(1, kScoresAtOnce / (perBlock * rows.size(1) * rows.size(2)));
    std::vector<at::Tensor> blocks;
    for (std::int64_t first = 0; first < rows.size(2); first += perPart) {
        const at::Tensor part = rows.slice(2, first, std::min(first + perPart, rows.size(2)));
        const at::Tensor shares = at::softmax(part.matmul(columns), 3);
        blocks.push_back(sumGroups(sumGroups(shares, 2, perBlock), 3, perBlock));
    }
    return at::cat(blocks, 2);
}

} // namespace canopy::accel::reference
