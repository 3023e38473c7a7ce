#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "accel/kernels/cpu/kernel_set.h"

namespace canopy::accel::ops {

/// RMS norm over the channels of each pixel, times gain, then SiLU where asked, written into `out`.
/// x [1, C, H, W]; gain [C] float32 with sqrt(C) multiplied in; out [1, C, H, W] of x's dtype, channels
/// adjacent and pixels evenly spaced: a whole channels-last frame or one slot of a FrameRing. On the CPU one
/// fused pass of ours for float32 and bfloat16 (`set`: kernels::bestKernelSet() when absent); the reference
/// elsewhere.
void pixelNorm(const at::Tensor& x, const at::Tensor& gain, bool silu, const at::Tensor& out,
               std::optional<kernels::KernelSet> set = {});

} // namespace canopy::accel::ops
