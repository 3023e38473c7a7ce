#include "accel/ops/modulate.h"

#include <ATen/ops/empty.h>

#include "accel/kernels/cpu/row_ops.h"
#include "accel/ops/parallel.h"
#include "accel/reference/modulate.h"

namespace canopy::accel::ops {
namespace {

bool hasKernel(const at::Tensor& x) {
    return x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) &&
           x.size(1) <= kernels::kMaxRowChannels;
}

kernels::StorageDtype storageOf(const at::Tensor& x) {
    return x.scalar_type() == at::kFloat ? kernels::StorageDtype::Float32 : kernels::StorageDtype::BFloat16;
}

void checkRows(const char* op, const at::Tensor& x, const at::Tensor& rows) {
    TORCH_CHECK(x.dim() == 2 && rows.dim() == 2 && rows.size(1) == x.size(1) && rows.size(0) > 0 &&
                    x.size(0) % rows.size(0) == 0,
                op, " got x ", x.sizes(), " and rows ", rows.sizes(),
                "; expected x [L, C] and rows [R, C], R dividing L");
    TORCH_CHECK(rows.scalar_type() == at::kFloat && rows.device() == x.device(), op, " got rows of ",
                rows.scalar_type(), " on ", rows.device(), "; expected float32 on ", x.device());
}

at::Tensor layerNormByKernel(const at::Tensor& xAny, const at::Tensor& scaleAny, const at::Tensor& shiftAny,
                             float scaleBase, double eps, std::optional<kernels::KernelSet> set) {
    const at::Tensor x = xAny.stride(1) == 1 ? xAny : xAny.contiguous();
    const at::Tensor scale = scaleAny.stride(1) == 1 ? scaleAny : scaleAny.contiguous();
    const at::Tensor shift = shiftAny.stride(1) == 1 ? shiftAny : shiftAny.contiguous();
    const at::Tensor out = at::empty(x.sizes(), x.options());
    kernels::LayerNormParams params;
    params.x = x.const_data_ptr();
    params.xStride = x.stride(0);
    params.out = out.mutable_data_ptr();
    params.scale = scale.const_data_ptr<float>();
    params.shift = shift.const_data_ptr<float>();
    params.scaleStride = scale.stride(0);
    params.shiftStride = shift.stride(0);
    params.tokens = x.size(0);
    params.channels = x.size(1);
    params.tokensPerRow = std::max<std::int64_t>(x.size(0) / scale.size(0), 1);
    params.scaleBase = scaleBase;
    params.eps = static_cast<float>(eps);
    params.dtype = storageOf(x);
    params.kernelSet = set.value_or(kernels::bestKernelSet());
    kernels::layerNorm(params, intraOpWorkers());
    return out;
}

} // namespace

at::Tensor layerNormModulate(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                             double eps, std::optional<kernels::KernelSet> set) {
    checkRows("layerNormModulate", x, scale);
    checkRows("layerNormModulate", x, shift);
    TORCH_CHECK(scale.sizes() == shift.sizes(), "layerNormModulate got scale ", scale.sizes(), " and shift ",
                shift.sizes(), "; expected equal shapes");
    return hasKernel(x) ? layerNormByKernel(x, scale, shift, 1.0F, eps, set)
                        : reference::layerNormModulate(x, scale, shift, eps);
}

at::Tensor layerNormAffine(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps,
                           std::optional<kernels::KernelSet> set) {
    TORCH_CHECK(weight.dim() == 1 && weight.sizes() == bias.sizes(), "layerNormAffine got weight ",
                weight.sizes(), " and bias ", bias.sizes(), "; expected both [C]");
    const at::Tensor weightRow = weight.unsqueeze(0);
    const at::Tensor biasRow = bias.unsqueeze(0);
    checkRows("layerNormAffine", x, weightRow);
    checkRows("layerNormAffine", x, biasRow);
    return hasKernel(x) ? layerNormByKernel(x, weightRow, biasRow, 0.0F, eps, set)
                        : reference::layerNormAffine(x, weight, bias, eps);
}

at::Tensor gateAdd(const at::Tensor& xAny, const at::Tensor& yAny, const at::Tensor& gateAny,
                   std::optional<kernels::KernelSet> set) {
    checkRows("gateAdd", xAny, gateAny);
    TORCH_CHECK(xAny.sizes() == yAny.sizes() && xAny.device() == yAny.device(), "gateAdd got x ",
                xAny.sizes(), " and y ", yAny.sizes(), "; expected equal shapes on one device");
    if (!hasKernel(xAny) || xAny.scalar_type() != yAny.scalar_type())
        return reference::gateAdd(xAny, yAny, gateAny);
    const at::Tensor x = xAny.contiguous();
    const at::Tensor y = yAny.contiguous();
    const at::Tensor gate = gateAny.stride(1) == 1 ? gateAny : gateAny.contiguous();
    const at::Tensor out = at::empty(x.sizes(), x.options());
    kernels::GateAddParams params;
    params.x = x.const_data_ptr();
    params.y = y.const_data_ptr();
    params.out = out.mutable_data_ptr();
    params.gate = gate.const_data_ptr<float>();
    params.gateStride = gate.stride(0);
    params.tokens = x.size(0);
    params.channels = x.size(1);
    params.tokensPerRow = std::max<std::int64_t>(x.size(0) / gate.size(0), 1);
    params.dtype = storageOf(x);
    params.kernelSet = set.value_or(kernels::bestKernelSet());
    kernels::gateAdd(params, intraOpWorkers());
    return out;
}

} // namespace canopy::accel::ops
