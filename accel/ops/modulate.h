#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "accel/kernels/cpu/kernel_set.h"

namespace canopy::accel::ops {

// L tokens of C channels; R rows of modulation in float32. Token t reads row t / (L / R): one row per latent
// frame, or one for all. Arithmetic in float32, result contiguous in x's dtype. On the CPU one fused pass of
// ours for float32 and bfloat16 rows of at most 8192 channels (`set`: kernels::bestKernelSet() when absent),
// on a card another for bfloat16 rows of at most 5120, a multiple of 8; the reference elsewhere.

/// layerNorm(x) * (1 + scale) + shift, without affine weights. x [L, C]; scale, shift [R, C].
at::Tensor layerNormModulate(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                             double eps, std::optional<kernels::KernelSet> set = {});

/// layerNorm(x) * weight + bias. x [L, C]; weight, bias [C] float32.
at::Tensor layerNormAffine(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps,
                           std::optional<kernels::KernelSet> set = {});

/// x + gate * y. x, y [L, C] of one dtype; gate [R, C].
at::Tensor gateAdd(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate,
                   std::optional<kernels::KernelSet> set = {});

} // namespace canopy::accel::ops
