#include "accel/ops/linear.h"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_addmm_activation.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>

#include <optional>
#include <string_view>

#include "accel/kernels/cpu/kernel_set.h"
#include "accel/ops/product_counter.h"

namespace canopy::accel::ops {
namespace {

bool suitsOneDnn(const at::Tensor& x, const at::Tensor& weight) {
    return x.device().is_cpu() && weight.device().is_cpu() && at::globalContext().userEnabledMkldnn() &&
           at::Context::hasMKLDNN() && x.scalar_type() == weight.scalar_type() && x.dim() >= 2 &&
           x.numel() > 0 &&
           (x.scalar_type() == at::kFloat ||
            (x.scalar_type() == at::kBFloat16 && kernels::isSupported(kernels::KernelSet::Avx512Bf16)));
}

/// LibTorch exports the fused product as an operator only, not as an at:: function.
at::Tensor byOneDnn(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    Activation activation) {
    using Signature =
        at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                   c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
    static const auto fused =
        c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<Signature>();
    const bool gelu = activation == Activation::GeluTanh;
    return fused.call(x.contiguous(), weight.contiguous(),
                      bias.defined() ? std::optional(bias) : std::nullopt, gelu ? "gelu" : "none",
                      c10::List<std::optional<at::Scalar>>(), gelu ? "tanh" : "");
}

} // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  Activation activation) {
    TORCH_CHECK(x.dim() >= 1 && weight.dim() == 2 && x.size(-1) == weight.size(1) &&
                    (!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0))),
                "linear got x ", x.sizes(), ", weight ", weight.sizes(), ", bias ",
                bias.defined() ? bias.sizes() : at::IntArrayRef{},
                "; expected x [..., K], weight [N, K] and bias [N] or none");
    TORCH_CHECK(x.scalar_type() == weight.scalar_type() &&
                    (!bias.defined() || bias.scalar_type() == weight.scalar_type()),
                "linear got x of ", x.scalar_type(), " and weights of ", weight.scalar_type(),
                "; expected one dtype");
    countFlop(2.0 * static_cast<double>(x.numel()) * static_cast<double>(weight.size(0)));
    if (suitsOneDnn(x, weight))
        return byOneDnn(x, weight, bias, activation);
    // cuBLASLt adds the bias and takes GELU's tanh form in the product's epilogue.
    if (activation == Activation::GeluTanh && x.is_cuda() && x.dim() == 2 && bias.defined() && x.numel() > 0)
        return at::_addmm_activation(bias, x, weight.t(), 1, 1, /*use_gelu=*/true);
    const at::Tensor product = at::linear(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
    return activation == Activation::GeluTanh ? at::gelu(product, "tanh") : product;
}

} // namespace canopy::accel::ops
