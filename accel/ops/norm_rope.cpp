#include "accel/ops/norm_rope.h"

#include <ATen/ops/empty.h>

#include "accel/kernels/cpu/row_ops.h"
#include "accel/ops/parallel.h"
#include "accel/reference/modulate.h"

namespace canopy::accel::ops {
namespace {

bool hasKernel(const at::Tensor& x) {
    return x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) &&
           x.size(0) == 1 && x.stride(3) == 1 && x.stride(2) == x.size(3) &&
           x.size(2) * x.size(3) <= kernels::kMaxRowChannels;
}

void checkGain(const char* op, const at::Tensor& x, const at::Tensor& gain) {
    TORCH_CHECK(x.dim() == 4 && gain.dim() == 1 && gain.numel() == x.size(2) * x.size(3), op, " got x ",
                x.sizes(), " and gain ", gain.sizes(), "; expected x [B, L, H, D] and gain [H * D]");
    TORCH_CHECK(gain.scalar_type() == at::kFloat && gain.device() == x.device(), op, " got gain of ",
                gain.scalar_type(), " on ", gain.device(), "; expected float32 on ", x.device());
}

at::Tensor byKernel(const at::Tensor& x, const at::Tensor& gainAny, const at::Tensor& cosAny,
                    const at::Tensor& sinAny, double eps, std::optional<kernels::KernelSet> set) {
    const at::Tensor gain = gainAny.contiguous();
    const at::Tensor cos = cosAny.defined() ? cosAny.contiguous() : cosAny;
    const at::Tensor sin = sinAny.defined() ? sinAny.contiguous() : sinAny;
    const at::Tensor out = at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::Contiguous));
    kernels::NormRopeParams params;
    params.x = x.const_data_ptr();
    params.xStride = x.stride(1);
    params.out = out.mutable_data_ptr();
    params.gain = gain.const_data_ptr<float>();
    params.cos = cos.defined() ? cos.const_data_ptr<float>() : nullptr;
    params.sin = sin.defined() ? sin.const_data_ptr<float>() : nullptr;
    params.tokens = x.size(1);
    params.heads = x.size(2);
    params.headDim = x.size(3);
    params.eps = static_cast<float>(eps);
    params.dtype =
        x.scalar_type() == at::kFloat ? kernels::StorageDtype::Float32 : kernels::StorageDtype::BFloat16;
    params.kernelSet = set.value_or(kernels::bestKernelSet());
    kernels::normRope(params, intraOpWorkers());
    return out;
}

} // namespace

at::Tensor fullWidthRmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps,
                            std::optional<kernels::KernelSet> set) {
    checkGain("fullWidthRmsNorm", x, gain);
    return hasKernel(x) ? byKernel(x, gain, {}, {}, eps, set) : reference::fullWidthRmsNorm(x, gain, eps);
}

at::Tensor normRope(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& cos, const at::Tensor& sin,
                    double eps, std::optional<kernels::KernelSet> set) {
    checkGain("normRope", x, gain);
    TORCH_CHECK(cos.dim() == 2 && cos.size(0) == x.size(1) && cos.size(1) * 2 == x.size(3) &&
                    sin.sizes() == cos.sizes(),
                "normRope got x ", x.sizes(), ", cos ", cos.sizes(), ", sin ", sin.sizes(),
                "; expected tables [L, D / 2] for x [B, L, H, D]");
    TORCH_CHECK(cos.scalar_type() == at::kFloat && sin.scalar_type() == at::kFloat &&
                    cos.device() == x.device() && sin.device() == x.device(),
                "normRope got tables of ", cos.scalar_type(), " and ", sin.scalar_type(),
                "; expected float32 on ", x.device());
    return hasKernel(x) ? byKernel(x, gain, cos, sin, eps, set) : reference::normRope(x, gain, cos, sin, eps);
}

} // namespace canopy::accel::ops
