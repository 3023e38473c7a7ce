#pragma once

#include <ATen/TensorOperators.h>
#include <doctest/doctest.h>

namespace canopy::accel {

/// Element by element. A bfloat16 result may fall on the other side of a rounding boundary: one unit in the
/// last place, two where the value was already rounded once on the way.
inline void checkClose(const at::Tensor& out, const at::Tensor& expected, int roundings = 1) {
    REQUIRE((out.sizes() == expected.sizes()));
    REQUIRE((out.scalar_type() == expected.scalar_type()));
    CHECK(out.is_contiguous());
    const bool half = out.scalar_type() == at::kBFloat16;
    const at::Tensor wide = expected.to(at::kFloat);
    const at::Tensor allowed =
        half ? wide.abs() / 128 + (roundings > 1 ? 0.02 : 1e-5) : wide.abs() * 2e-6 + 4e-6;
    CHECK(((out.to(at::kFloat) - wide).abs() <= allowed).all().item<bool>());
    // Boundary cases are rare: nearly all elements agree to the last bit or almost.
    if (half)
        CHECK((out == expected).to(at::kFloat).mean().item<float>() > 0.98F);
}

} // namespace canopy::accel
