#pragma once

#include <ATen/core/Tensor.h>

namespace canopy::accel::ops {

// L tokens of C channels; R rows of modulation in float32. Token t reads row t / (L / R): one row per latent
// frame, or one for all. Arithmetic in float32, result in x's dtype.

/// layerNorm(x) * (1 + scale) + shift, without affine weights. x [L, C]; scale, shift [R, C].
at::Tensor layerNormModulate(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                             double eps);

/// x + gate * y. x, y [L, C]; gate [R, C].
at::Tensor gateAdd(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate);

} // namespace canopy::accel::ops
