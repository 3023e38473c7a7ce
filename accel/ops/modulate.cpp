#include "accel/ops/modulate.h"

#include "accel/reference/modulate.h"

namespace canopy::accel::ops {

at::Tensor layerNormModulate(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                             double eps) {
    TORCH_CHECK(x.dim() == 2 && scale.dim() == 2 && scale.sizes() == shift.sizes() &&
                    x.size(0) % scale.size(0) == 0,
                "layerNormModulate: x ", x.sizes(), " does not fit modulation rows ", scale.sizes());
    return reference::layerNormModulate(x, scale, shift, eps);
}

at::Tensor gateAdd(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate) {
    TORCH_CHECK(x.sizes() == y.sizes() && gate.dim() == 2 && x.size(0) % gate.size(0) == 0, "gateAdd: x ",
                x.sizes(), ", y ", y.sizes(), " do not fit gate rows ", gate.sizes());
    return reference::gateAdd(x, y, gate);
}

} // namespace canopy::accel::ops
