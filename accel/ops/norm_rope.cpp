#include "accel/ops/norm_rope.h"

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
           x.size(0) == 1 && x.stride(3) == 1 && x.stride(2) == x.size(3) &&
           x.size(2) * x.size(3) <= kernels::kMaxRowChannels;
}

bool hasCardKernel(const at::Tensor& x) {
    const std::int64_t channels = x.size(2) * x.size(3);
    return x.is_cuda() && cardKernels() && x.scalar_type() == at::kBFloat16 && x.size(0) == 1 &&
           x.size(1) > 0 && x.stride(3) == 1 && x.stride(2) == x.size(3) && x.size(3) % 8 == 0 &&
           x.stride(1) % 8 == 0 && reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 16 == 0 &&
           channels <= cuda::kMostRowChannels;
}

/// `mean` [H, D] where it is defined.
at::Tensor byCardKernel(const at::Tensor& x, const at::Tensor& gainAny, const at::Tensor& cosAny,
                        const at::Tensor& sinAny, double eps, const at::Tensor& mean) {
    const c10::DeviceGuard guard(x.device());
    const at::Tensor gain = gainAny.contiguous();
    const at::Tensor cos = cosAny.defined() ? cosAny.contiguous() : cosAny;
    const at::Tensor sin = sinAny.defined() ? sinAny.contiguous() : sinAny;
    const at::Tensor out = at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::Contiguous));
    cuda::NormRopeParams params;
    params.x = x.const_data_ptr();
    params.xStride = x.stride(1);
    params.out = out.mutable_data_ptr();
    params.gain = gain.const_data_ptr<float>();
    params.cos = cos.defined() ? cos.const_data_ptr<float>() : nullptr;
    params.sin = sin.defined() ? sin.const_data_ptr<float>() : nullptr;
    params.tokens = x.size(1);
    params.channels = x.size(2) * x.size(3);
    params.headDim = x.size(3);
    params.eps = static_cast<float>(eps);
    at::Tensor workspace;
    if (mean.defined()) {
        const auto bytes = cuda::meanWorkspaceBytes(params.tokens, params.channels);
        workspace = at::empty({static_cast<std::int64_t>(bytes)}, x.options().dtype(at::kByte));
        params.mean = mean.mutable_data_ptr<float>();
        params.workspace = workspace.mutable_data_ptr();
    }
    checkQueued(cardKernels()->normRope(params, cardStream(x)), "the norm of queries and keys", x);
    return out;
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
    if (hasCardKernel(x))
        return byCardKernel(x, gain, {}, {}, eps, {});
    return hasKernel(x) ? byKernel(x, gain, {}, {}, eps, set) : reference::fullWidthRmsNorm(x, gain, eps);
}

namespace {

void checkTables(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& cos, const at::Tensor& sin) {
    checkGain("normRope", x, gain);
    TORCH_CHECK(cos.dim() == 2 && cos.size(0) == x.size(1) && cos.size(1) * 2 == x.size(3) &&
                    sin.sizes() == cos.sizes(),
                "normRope got x ", x.sizes(), ", cos ", cos.sizes(), ", sin ", sin.sizes(),
                "; expected tables [L, D / 2] for x [B, L, H, D]");
    TORCH_CHECK(cos.scalar_type() == at::kFloat && sin.scalar_type() == at::kFloat &&
                    cos.device() == x.device() && sin.device() == x.device(),
                "normRope got tables of ", cos.scalar_type(), " and ", sin.scalar_type(),
                "; expected float32 on ", x.device());
}

} // namespace

at::Tensor normRope(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& cos, const at::Tensor& sin,
                    double eps, std::optional<kernels::KernelSet> set) {
    checkTables(x, gain, cos, sin);
    if (hasCardKernel(x))
        return byCardKernel(x, gain, cos, sin, eps, {});
    return hasKernel(x) ? byKernel(x, gain, cos, sin, eps, set) : reference::normRope(x, gain, cos, sin, eps);
}

NormRopeOutput normRopeWithMean(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& cos,
                                const at::Tensor& sin, double eps) {
    checkTables(x, gain, cos, sin);
    TORCH_CHECK(x.size(0) == 1, "normRopeWithMean got ", x.size(0), " batch rows; expected one");
    NormRopeOutput result;
    if (hasCardKernel(x)) {
        result.mean = at::empty({x.size(2), x.size(3)}, x.options().dtype(at::kFloat));
        result.out = byCardKernel(x, gain, cos, sin, eps, result.mean);
    } else {
        result.out = normRope(x, gain, cos, sin, eps);
        result.mean = result.out[0].mean(0, false, at::kFloat);
    }
    return result;
}

} // namespace canopy::accel::ops
