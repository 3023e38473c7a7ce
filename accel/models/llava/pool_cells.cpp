#include "accel/models/llava/pool_cells.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>

namespace canopy::accel {

at::Tensor poolCells(const at::Tensor& x, int side, HostPooling pooling) {
    const auto grid = x.reshape({x.size(0), side, side, x.size(2)})
                          .permute({0, 3, 1, 2})
                          .to(at::kFloat); // [T, C, side, side]
    const std::int64_t half = (side + 1) / 2;
    const auto pooled = pooling == HostPooling::Bilinear ? at::upsample_bilinear2d(grid, {half, half}, false)
                                                         : at::avg_pool2d(grid, {2, 2});
    return pooled.permute({0, 2, 3, 1}).flatten(1, 2).to(x.scalar_type()).contiguous();
}

at::Tensor pixelDifference(const at::Tensor& frames, const SiglipConfig& vision, HostPooling pooling) {
    const std::int64_t count = frames.size(0);
    const std::int64_t side = vision.gridSide();
    const std::int64_t used = side * vision.patch;
    auto patches = at::zeros({count, side * side, 1}, frames.options().dtype(at::kFloat));
    for (std::int64_t t = 1; t < count; ++t) { // frame by frame: no second copy of the whole video
        const auto difference = (frames[t].narrow(0, 0, used).narrow(1, 0, used).to(at::kFloat) -
                                 frames[t - 1].narrow(0, 0, used).narrow(1, 0, used).to(at::kFloat))
                                    .abs(); // [used, used, 3]
        patches[t].copy_(
            at::mean(difference.view({side, vision.patch, side, vision.patch, 3}), {1, 3, 4}).view({-1, 1}));
    }
    return poolCells(patches, static_cast<int>(side), pooling).squeeze(-1);
}

} // namespace canopy::accel
