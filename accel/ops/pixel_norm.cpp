#include "accel/ops/pixel_norm.h"

#include "accel/kernels/cpu/pixel_norm.h"
#include "accel/ops/parallel.h"
#include "accel/reference/pixel_norm.h"

namespace canopy::accel::ops {
namespace {

/// Elements between neighbouring pixels of a frame whose channels are adjacent and whose rows follow each
/// other; 0 when the frame is laid out otherwise. Strides of dimensions of length 1 say nothing.
std::int64_t pixelStride(const at::Tensor& frame) {
    const std::int64_t channels = frame.size(1), rows = frame.size(2), columns = frame.size(3);
    if (channels > 1 && frame.stride(1) != 1)
        return 0;
    const std::int64_t stride = columns > 1 ? frame.stride(3) : (rows > 1 ? frame.stride(2) : channels);
    const bool even = rows == 1 || frame.stride(2) == stride * columns;
    return stride >= channels && even ? stride : 0;
}

} // namespace

void pixelNorm(const at::Tensor& x, const at::Tensor& gain, bool silu, const at::Tensor& out,
               std::optional<kernels::KernelSet> set) {
    TORCH_CHECK(x.dim() == 4 && x.size(0) == 1 && x.sizes() == out.sizes() &&
                    x.scalar_type() == out.scalar_type(),
                "pixelNorm got x ", x.sizes(), " ", x.scalar_type(), " and out ", out.sizes(), " ",
                out.scalar_type(), "; expected the same [1, C, H, W] twice");
    TORCH_CHECK(gain.dim() == 1 && gain.size(0) == x.size(1) && gain.scalar_type() == at::kFloat &&
                    gain.is_contiguous() && gain.device() == x.device(),
                "pixelNorm got gain ", gain.sizes(), " ", gain.scalar_type(),
                "; expected contiguous float32 [", x.size(1), "] on ", x.device());
    const std::int64_t xStride = pixelStride(x), outStride = pixelStride(out);
    const bool storable = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
    if (!x.device().is_cpu() || !storable || xStride == 0 || outStride == 0) {
        out.copy_(reference::pixelNorm(x, gain, silu));
        return;
    }
    kernels::PixelNormParams params;
    params.x = x.const_data_ptr();
    params.out = out.mutable_data_ptr();
    params.gain = gain.const_data_ptr<float>();
    params.xStride = xStride;
    params.outStride = outStride;
    params.pixels = x.size(2) * x.size(3);
    params.channels = x.size(1);
    params.silu = silu;
    params.dtype =
        x.scalar_type() == at::kFloat ? kernels::StorageDtype::Float32 : kernels::StorageDtype::BFloat16;
    params.kernelSet = set.value_or(kernels::bestKernelSet());
    kernels::pixelNorm(params, intraOpWorkers());
}

} // namespace canopy::accel::ops
