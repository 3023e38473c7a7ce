#include "accel/ops/modulate.h"

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>

#include "accel/cuda/row_ops.h"
#include "accel/kernels/cpu/row_ops.h"
#include "accel/ops/card_tensor.h"
#include "accel/ops/parallel.h"
#include "accel/reference/modulate.h"
#include "accel/runtime/kernel_table.h"

namespace canopy::accel::ops {
namespace {

bool hasKernel(const at::Tensor& x) {
    return x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) &&
           x.size(1) <= kernels::kMaxRowChannels;
}

/// Rows as the card's kernels take them.
bool fitsCard(const at::Tensor& x) {
    return x.is_cuda() && cardKernels() && x.scalar_type() == at::kBFloat16 && x.size(0) > 0 &&
           x.size(1) % 8 == 0 && x.size(1) <= cuda::kMostRowChannels && x.stride(1) == 1 &&
           x.stride(0) % 8 == 0 && reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 16 == 0;
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

/// Fills what both sets of kernels name alike.
template <typename Params>
at::Tensor fillLayerNorm(Params& params, const at::Tensor& x, const at::Tensor& scale,
                         const at::Tensor& shift, float scaleBase, double eps) {
    at::Tensor out = at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::Contiguous));
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
    return out;
}

template <typename Params>
at::Tensor fillGateAdd(Params& params, const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate) {
    at::Tensor out = at::empty(x.sizes(), x.options());
    params.x = x.const_data_ptr();
    params.y = y.const_data_ptr();
    params.out = out.mutable_data_ptr();
    params.gate = gate.const_data_ptr<float>();
    params.gateStride = gate.stride(0);
    params.tokens = x.size(0);
    params.channels = x.size(1);
    params.tokensPerRow = std::max<std::int64_t>(x.size(0) / gate.size(0), 1);
    return out;
}

at::Tensor layerNormByKernel(const at::Tensor& xAny, const at::Tensor& scaleAny, const at::Tensor& shiftAny,
                             float scaleBase, double eps, std::optional<kernels::KernelSet> set) {
    const at::Tensor x = xAny.stride(1) == 1 ? xAny : xAny.contiguous();
    const at::Tensor scale = scaleAny.stride(1) == 1 ? scaleAny : scaleAny.contiguous();
    const at::Tensor shift = shiftAny.stride(1) == 1 ? shiftAny : shiftAny.contiguous();
    if (fitsCard(x)) {
        const c10::DeviceGuard guard(x.device());
        cuda::LayerNormParams params;
        at::Tensor out = fillLayerNorm(params, x, scale, shift, scaleBase, eps);
        checkQueued(cardKernels()->layerNorm(params, cardStream(x)), "the layer norm", x);
        return out;
    }
    kernels::LayerNormParams params;
    at::Tensor out = fillLayerNorm(params, x, scale, shift, scaleBase, eps);
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
    return hasKernel(x) || fitsCard(x) ? layerNormByKernel(x, scale, shift, 1.0F, eps, set)
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
    return hasKernel(x) || fitsCard(x) ? layerNormByKernel(x, weightRow, biasRow, 0.0F, eps, set)
                                       : reference::layerNormAffine(x, weight, bias, eps);
}

at::Tensor gateAdd(const at::Tensor& xAny, const at::Tensor& yAny, const at::Tensor& gateAny,
                   std::optional<kernels::KernelSet> set) {
    checkRows("gateAdd", xAny, gateAny);
    TORCH_CHECK(xAny.sizes() == yAny.sizes() && xAny.device() == yAny.device(), "gateAdd got x ",
                xAny.sizes(), " and y ", yAny.sizes(), "; expected equal shapes on one device");
    if ((!hasKernel(xAny) && !xAny.is_cuda()) || xAny.scalar_type() != yAny.scalar_type())
        return reference::gateAdd(xAny, yAny, gateAny);
    const at::Tensor x = xAny.contiguous();
    const at::Tensor y = yAny.contiguous();
    const at::Tensor gate = gateAny.stride(1) == 1 ? gateAny : gateAny.contiguous();
    if (x.is_cuda()) {
        if (!fitsCard(x) || !fitsCard(y))
            return reference::gateAdd(x, y, gate);
        const c10::DeviceGuard guard(x.device());
        cuda::GateAddParams params;
        at::Tensor out = fillGateAdd(params, x, y, gate);
        checkQueued(cardKernels()->gateAdd(params, cardStream(x)), "the gated sum", x);
        return out;
    }
    kernels::GateAddParams params;
    at::Tensor out = fillGateAdd(params, x, y, gate);
    params.dtype = storageOf(x);
    params.kernelSet = set.value_or(kernels::bestKernelSet());
    kernels::gateAdd(params, intraOpWorkers());
    return out;
}

} // namespace canopy::accel::ops
