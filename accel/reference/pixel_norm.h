#pragma once

#include <ATen/core/Tensor.h>

namespace canopy::accel::reference {

/// RMS norm over channels, times gain, then SiLU where asked; the equation stands in
/// kernels/cpu/pixel_norm.h. x [N, C, H, W] of any dtype and device; gain [C] float32 with sqrt(C) multiplied
/// in. Float32 inside, x's dtype and memory format outside.
at::Tensor pixelNorm(const at::Tensor& x, const at::Tensor& gain, bool silu);

} // namespace canopy::accel::reference
