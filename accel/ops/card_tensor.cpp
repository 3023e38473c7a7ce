#include "accel/ops/card_tensor.h"

#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <limits>

namespace canopy::accel::ops {

at::Tensor alignedForCard(const at::Tensor& x) {
    constexpr std::int64_t kElements = 8;
    bool fits = x.stride(3) == 1 && reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 16 == 0;
    for (std::int64_t d = 0; d < 3; ++d)
        fits = fits && (x.size(d) == 1 || x.stride(d) % kElements == 0);
    return fits ? x : x.clone(at::MemoryFormat::Contiguous);
}

cuda::TensorStrides cardStrides(const at::Tensor& x) {
    return {x.stride(0), x.stride(1), x.stride(2)};
}

std::int32_t narrowedForCard(std::int64_t value, const char* what) {
    TORCH_CHECK(value <= std::numeric_limits<std::int32_t>::max(), "a kernel on the card got ", value, " ",
                what, "; expected fewer than 2^31");
    return static_cast<std::int32_t>(value);
}

void* cardStream(const at::Tensor& x) {
    return c10::impl::VirtualGuardImpl(c10::kCUDA).getStream(x.device()).native_handle();
}

void checkQueued(int code, const char* what, const at::Tensor& x) {
    TORCH_CHECK(code == 0, what, " could not be queued: CUDA error ", code, " for ", x.sizes(),
                ". Check the card with nvidia-smi, and report this with the log.");
}

} // namespace canopy::accel::ops
