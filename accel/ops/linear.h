#pragma once

#include <ATen/core/Tensor.h>

namespace canopy::accel::ops {

enum class Activation { None, GeluTanh };

/// activation(x weight^T + bias). x [..., K], weight [N, K], bias [N] or undefined; result [..., N] in x's
/// dtype.
///
/// CPU, float32 and (where the processor has AVX-512 BF16) bfloat16: LibTorch's oneDNN with the activation in
/// the epilogue, on float32 sums. at::linear sends float32 to MKL, which runs AVX2 code on AMD processors:
/// half the rate. Elsewhere at::linear, then at::gelu.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  Activation activation = Activation::None);

} // namespace canopy::accel::ops
