#pragma once

#include <ATen/core/Tensor.h>

namespace canopy::accel::ops {

/// RMS norm over the whole width H * D (not per head), times gain [H * D]; x [1, L, H, D] with free strides
/// over L. Arithmetic in float32, result contiguous in x's dtype.
at::Tensor fullWidthRmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps);

/// The same, then the rotary embedding: channels (2j, 2j + 1) of every head rotate by the angle whose cos and
/// sin stand in [L, D / 2] float32 tables.
at::Tensor normRope(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& cos, const at::Tensor& sin,
                    double eps);

} // namespace canopy::accel::ops
