#pragma once

#include <ATen/core/Tensor.h>

namespace canopy::accel::reference {

/// The plain mathematics of ops/modulate.h and ops/norm_rope.h, in float32 by LibTorch's operators on any
/// device.
at::Tensor layerNormModulate(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                             double eps);
at::Tensor layerNormAffine(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps);
at::Tensor gateAdd(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate);
at::Tensor fullWidthRmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps);
at::Tensor normRope(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& cos, const at::Tensor& sin,
                    double eps);

} // namespace canopy::accel::reference
