#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "accel/cuda/block_attention.h"

// Tensors as the kernels of accel/cuda take them.
namespace canopy::accel::ops {

/// As TMA reads a [B, L, H, D] tensor: the last dimension contiguous, everything else at multiples of 16
/// bytes. A copy where `x` is not so.
at::Tensor alignedForCard(const at::Tensor& x);

cuda::TensorStrides cardStrides(const at::Tensor& x);

/// `value` of `what` as a kernel counts it; throws from 2^31 on.
std::int32_t narrowedForCard(std::int64_t value, const char* what);

/// LibTorch's current queue on x's card, a cudaStream_t.
void* cardStream(const at::Tensor& x);

/// Throws with a sentence unless a kernel's `code` is 0; `what` of "attention's kernel".
void checkQueued(int code, const char* what, const at::Tensor& x);

} // namespace canopy::accel::ops
