#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace canopy::accel {

/// Angles of the one-dimensional rotary embedding in the rotate-half form: channels j and j + D / 2 of every
/// head turn together by position * theta^(-2 j / D). float32 [n, D / 2] each; the products are taken in
/// float32, as the public implementation takes them. Qwen2; token-forest.md 1.8.
struct RotaryTable {
    at::Tensor cos;
    at::Tensor sin;

    RotaryTable rows(std::int64_t first, std::int64_t count) const {
        return {cos.narrow(0, first, count), sin.narrow(0, first, count)};
    }
    RotaryTable at(const at::Tensor& indices) const; ///< rows `indices`, int64 [m]
};
/// positions int64 [n]; the table lies on their device.
RotaryTable makeRotaryTable(const at::Tensor& positions, int headDim, double theta);

/// Turns x [n, H, D] in place; arithmetic in float32. The last dimension is contiguous.
void rotateHalfInPlace(const at::Tensor& x, const RotaryTable& table);

} // namespace canopy::accel
