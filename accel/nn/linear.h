#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>

#include "accel/ops/linear.h"

namespace canopy::accel {

class WeightReader;

/// y = x W^T + b; weight [out, in], bias [out] or undefined.
struct Linear {
    at::Tensor weight;
    at::Tensor bias;

    Linear() = default;
    /// Takes `name`.weight and, when `withBias`, `name`.bias.
    Linear(WeightReader& weights, std::string_view name, std::int64_t in, std::int64_t out,
           bool withBias = true);

    at::Tensor operator()(const at::Tensor& x, ops::Activation activation = ops::Activation::None) const;
    std::int64_t outFeatures() const { return weight.size(0); }
};

/// Several projections of the same input as one product: outputs side by side in the last dimension.
Linear fuse(const Linear& a, const Linear& b);
Linear fuse(const Linear& a, const Linear& b, const Linear& c);

} // namespace canopy::accel
