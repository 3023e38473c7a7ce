#include "accel/nn/linear.h"

#include <ATen/ops/cat.h>

#include "accel/weights/weight_reader.h"

namespace canopy::accel {

Linear::Linear(WeightReader& weights, std::string_view name, std::int64_t in, std::int64_t out,
               bool withBias) {
    const std::string base(name);
    weight = weights.take(base + ".weight", {out, in});
    if (withBias)
        bias = weights.take(base + ".bias", {out});
}

at::Tensor Linear::operator()(const at::Tensor& x, ops::Activation activation) const {
    return ops::linear(x, weight, bias, activation);
}

Linear fuse(const Linear& a, const Linear& b) {
    Linear fused;
    fused.weight = at::cat({a.weight, b.weight});
    if (a.bias.defined())
        fused.bias = at::cat({a.bias, b.bias});
    return fused;
}

Linear fuse(const Linear& a, const Linear& b, const Linear& c) {
    return fuse(fuse(a, b), c);
}

} // namespace canopy::accel
