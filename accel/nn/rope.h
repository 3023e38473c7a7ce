#pragma once

#include <ATen/core/Tensor.h>

#include "accel/nn/forward_context.h"

namespace canopy::accel {

/// Angles of the 3-D rotary embedding: cos and sin [tokens, D / 2] in float32, computed in float64. Channel
/// pairs (2j, 2j + 1) rotate by angle j. Rows and columns get 2 * (D / 6) channels each, time the rest
/// (44/42/42 of 128). Wan 2.1; sparse-attention.md 1.1.
struct RopeTable {
    at::Tensor cos;
    at::Tensor sin;
};
RopeTable makeRopeTable(const TokenGrid& grid, int headDim, at::Device device, double theta = 10000.0);

} // namespace canopy::accel
