#include "accel/nn/rope.h"

#include <ATen/ops/empty.h>

#include <cmath>
#include <vector>

namespace canopy::accel {

RopeTable makeRopeTable(const TokenGrid& grid, int headDim, at::Device device, double theta) {
    const int spatial = 2 * (headDim / 6);
    const int dims[3] = {headDim - 2 * spatial, spatial, spatial}; // t, y, x
    const int half = headDim / 2;
    const auto options = at::TensorOptions(at::kFloat);
    auto cos = at::empty({grid.tokens(), half}, options);
    auto sin = at::empty({grid.tokens(), half}, options);
    std::vector<double> frequency;
    std::vector<int> axis;
    for (int a = 0; a < 3; ++a) {
        for (int i = 0; i < dims[a] / 2; ++i) {
            frequency.push_back(std::pow(theta, -2.0 * i / dims[a]));
            axis.push_back(a);
        }
    }
    float* c = cos.mutable_data_ptr<float>();
    float* s = sin.mutable_data_ptr<float>();
    for (int f = 0; f < grid.frames; ++f) {
        for (int y = 0; y < grid.rows; ++y) {
            for (int x = 0; x < grid.columns; ++x) {
                const int position[3] = {grid.firstFrame + f, y, x};
                for (int j = 0; j < half; ++j) {
                    const double angle =
                        position[axis[static_cast<std::size_t>(j)]] * frequency[static_cast<std::size_t>(j)];
                    *c++ = static_cast<float>(std::cos(angle));
                    *s++ = static_cast<float>(std::sin(angle));
                }
            }
        }
    }
    return {cos.to(device), sin.to(device)};
}

} // namespace canopy::accel
