#include "accel/nn/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/outer.h>

#include <cmath>

namespace canopy::accel {

RotaryTable RotaryTable::at(const at::Tensor& indices) const {
    return {cos.index_select(0, indices), sin.index_select(0, indices)};
}

RotaryTable makeRotaryTable(const at::Tensor& positions, int headDim, double theta) {
    const int half = headDim / 2;
    auto frequency = at::empty({half}, at::TensorOptions(at::kFloat));
    auto* f = frequency.mutable_data_ptr<float>();
    for (int j = 0; j < half; ++j) {
        const float exponent = static_cast<float>(2 * j) / static_cast<float>(headDim);
        f[j] = 1.0F / std::pow(static_cast<float>(theta), exponent);
    }
    const auto angles = at::outer(positions.to(at::kFloat), frequency.to(positions.device())); // [n, D / 2]
    return {angles.cos(), angles.sin()};
}

void rotateHalfInPlace(const at::Tensor& x, const RotaryTable& table) {
    const std::int64_t half = x.size(2) / 2;
    const auto cos = table.cos.unsqueeze(1); // [n, 1, D / 2]
    const auto sin = table.sin.unsqueeze(1);
    auto low = x.narrow(2, 0, half);
    auto high = x.narrow(2, half, half);
    const auto lowWide = low.to(at::kFloat);
    const auto highWide = high.to(at::kFloat);
    const auto turned = (lowWide * cos).addcmul_(highWide, sin, -1);
    high.copy_((highWide * cos).addcmul_(lowWide, sin));
    low.copy_(turned);
}

} // namespace canopy::accel
