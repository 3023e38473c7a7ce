#include "accel/ops/norm_rope.h"

#include "accel/reference/modulate.h"

namespace canopy::accel::ops {

at::Tensor fullWidthRmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps) {
    TORCH_CHECK(x.dim() == 4 && gain.numel() == x.size(2) * x.size(3), "fullWidthRmsNorm: x ", x.sizes(),
                " does not fit gain ", gain.sizes());
    return reference::fullWidthRmsNorm(x, gain, eps);
}

at::Tensor normRope(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& cos, const at::Tensor& sin,
                    double eps) {
    TORCH_CHECK(x.dim() == 4 && gain.numel() == x.size(2) * x.size(3) && cos.size(0) == x.size(1) &&
                    cos.size(1) * 2 == x.size(3) && sin.sizes() == cos.sizes(),
                "normRope: x ", x.sizes(), " does not fit gain ", gain.sizes(), " and tables ", cos.sizes());
    return reference::normRope(x, gain, cos, sin, eps);
}

} // namespace canopy::accel::ops
