#include "accel/reference/modulate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/stack.h>

namespace canopy::accel::reference {

namespace {

/// [L, C] as [R, L / R, C], so that rows of modulation broadcast.
at::Tensor byRow(const at::Tensor& x, std::int64_t rows) {
    return x.reshape({rows, x.size(0) / rows, x.size(1)});
}

at::Tensor normalised(const at::Tensor& x, const at::Tensor& gain, double eps) {
    const auto wide = x.to(at::kFloat);
    const auto scale = at::rsqrt(at::mean(wide * wide, {-2, -1}, true) + eps);
    return wide * scale * gain.view({x.size(-2), x.size(-1)});
}

} // namespace

at::Tensor layerNormModulate(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                             double eps) {
    const auto normed = byRow(at::layer_norm(x.to(at::kFloat), {x.size(-1)}, {}, {}, eps), scale.size(0));
    return (normed * (1.0 + scale.unsqueeze(1)) + shift.unsqueeze(1)).view(x.sizes()).to(x.scalar_type());
}

at::Tensor layerNormAffine(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           double eps) {
    return at::layer_norm(x.to(at::kFloat), {x.size(-1)}, weight, bias, eps).to(x.scalar_type());
}

at::Tensor gateAdd(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate) {
    const auto gated = byRow(y.to(at::kFloat), gate.size(0)) * gate.unsqueeze(1);
    return (byRow(x.to(at::kFloat), gate.size(0)) + gated).view(x.sizes()).to(x.scalar_type());
}

at::Tensor fullWidthRmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps) {
    return normalised(x, gain, eps).to(x.scalar_type());
}

at::Tensor normRope(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& cos, const at::Tensor& sin,
                    double eps) {
    // Rounded to x's dtype between norm and rotation, as the public implementations do.
    const auto normed = normalised(x, gain, eps).to(x.scalar_type()).to(at::kFloat);
    const auto pairs = normed.unflatten(-1, {-1, 2}); // [1, L, H, D / 2, 2]
    const auto a = pairs.select(-1, 0);
    const auto b = pairs.select(-1, 1);
    const auto c = cos.view({1, cos.size(0), 1, cos.size(1)});
    const auto s = sin.view({1, sin.size(0), 1, sin.size(1)});
    return at::stack({a * c - b * s, a * s + b * c}, -1).flatten(-2).to(x.scalar_type());
}

} // namespace canopy::accel::reference
