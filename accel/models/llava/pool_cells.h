#pragma once

#include <ATen/core/Tensor.h>

#include "core/formats/qa_model.h"

namespace canopy::accel {

/// Patches to cells: [T, side * side, C] to [T, cells * cells, C], in float32 and back to x's dtype. Bilinear
/// resizes to ceil(side / 2) a side without aligned corners and without antialiasing, Average takes the mean
/// of 2 x 2 patches, floor(side / 2) a side. token-forest.md 1.5.
at::Tensor poolCells(const at::Tensor& x, int side, HostPooling pooling);

/// Mean |difference| of pixel values (0 to 255) to the frame before, over channels and the patches of a cell:
/// float32 [T, cells * cells], zeros for the first frame. frames uint8 [T, S, S, 3].
at::Tensor pixelDifference(const at::Tensor& frames, const SiglipConfig& vision, HostPooling pooling);

} // namespace canopy::accel
