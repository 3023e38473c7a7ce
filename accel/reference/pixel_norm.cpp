#include "accel/reference/pixel_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/silu.h>

namespace canopy::accel::reference {

at::Tensor pixelNorm(const at::Tensor& x, const at::Tensor& gain, bool silu) {
    const at::Tensor wide = x.to(at::kFloat);
    const at::Tensor length = at::linalg_vector_norm(wide, 2, {1}, true).clamp_min_(1e-12); // [N, 1, H, W]
    at::Tensor out = (wide / length).mul_(gain.view({1, -1, 1, 1}));
    if (silu)
        at::silu_(out);
    return out.to(x.scalar_type());
}

} // namespace canopy::accel::reference
