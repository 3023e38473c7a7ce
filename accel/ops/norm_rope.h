#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "accel/kernels/cpu/kernel_set.h"

namespace canopy::accel::ops {

// Arithmetic in float32, result contiguous [B, L, H, D] in x's dtype. On the CPU one fused pass of ours where
// every token's H * D channels lie together (at most 8192 of float32 or bfloat16), on a card another for
// bfloat16 (at most 5120); the reference elsewhere.

/// RMS norm over the whole width H * D (not per head), times gain [H * D]; x [1, L, H, D] with free strides
/// over L.
at::Tensor fullWidthRmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps,
                            std::optional<kernels::KernelSet> set = {});

/// The same, then the rotary embedding: channels (2j, 2j + 1) of every head rotate by the angle whose cos and
/// sin stand in [L, D / 2] float32 tables.
at::Tensor normRope(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& cos, const at::Tensor& sin,
                    double eps, std::optional<kernels::KernelSet> set = {});

struct NormRopeOutput {
    at::Tensor out;
    at::Tensor mean; ///< float32 [H, D]: mean over tokens of `out`
};

/// normRope() of x [1, L, H, D] and its mean, on a card without another pass over the result.
NormRopeOutput normRopeWithMean(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& cos,
                                const at::Tensor& sin, double eps);

} // namespace canopy::accel::ops
