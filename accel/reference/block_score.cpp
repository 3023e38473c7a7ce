#include "accel/reference/block_score.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <vector>

namespace canopy::accel::reference {

namespace {

/// [B, L, H, D] to [B, H, cells, S * D] float32: a cell's tokens side by side.
at::Tensor cellsOf(const at::Tensor& x, std::int64_t stride, bool reversed) {
    const std::int64_t missing = (stride - x.size(1) % stride) % stride;
    at::Tensor cells = at::constant_pad_nd(x.to(at::kFloat), {0, 0, 0, 0, 0, missing});
    cells = cells.unflatten(1, {-1, stride}); // [B, cells, S, H, D]
    if (reversed)
        cells = cells.flip(2);
    return cells.permute({0, 3, 1, 2, 4}).flatten(3);
}

/// Sums of groups of `size` along `dim`; the last group may be smaller.
at::Tensor sumGroups(const at::Tensor& x, std::int64_t dim, std::int64_t size) {
    const std::int64_t missing = (size - x.size(dim) % size) % size;
    std::vector<std::int64_t> padding(static_cast<std::size_t>(2 * (x.dim() - dim)), 0);
    padding.back() = missing;
    return at::constant_pad_nd(x, padding).unflatten(dim, {-1, size}).sum(dim + 1);
}

} // namespace

at::Tensor blockWeights(const at::Tensor& q, const at::Tensor& k, double scale, std::int64_t stride) {
    const at::Tensor rows = cellsOf(q, stride, true);
    const at::Tensor columns = cellsOf(k, stride, false);
    const std::int64_t perBlock = kScoreBlock / stride;
    // Query block by query block: the cells' scores of a long clip would fill gigabytes.
    std::vector<at::Tensor> blocks;
    for (std::int64_t first = 0; first < rows.size(2); first += perBlock) {
        const at::Tensor part = rows.slice(2, first, std::min(first + perBlock, rows.size(2)));
        const at::Tensor scores =
            part.matmul(columns.transpose(2, 3)) * (scale / static_cast<double>(stride));
        blocks.push_back(sumGroups(at::softmax(scores, 3).sum(2), 2, perBlock)); // [B, H, key blocks]
    }
    return at::stack(blocks, 2);
}

} // namespace canopy::accel::reference
