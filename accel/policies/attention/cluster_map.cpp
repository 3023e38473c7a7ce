#include "accel/policies/attention/cluster_map.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace canopy::accel {

at::Tensor clusterProbabilities(const at::Tensor& queryCentres, const at::Tensor& keyCentres,
                                const at::Tensor& keySizes) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(queryCentres.size(1)));
    // log 0 is -inf: an empty cluster's share is then 0.
    return at::softmax(queryCentres.matmul(keyCentres.t()) * scale + keySizes.to(at::kFloat).log(), 1);
}

at::Tensor clusterMap(const at::Tensor& probabilities, double p, double minimumShare) {
    const at::Tensor mass = probabilities.cpu().contiguous();
    const std::int64_t rows = mass.size(0), columns = mass.size(1);
    at::Tensor map = at::zeros({rows, columns}, at::kByte);
    if (p >= 1)
        return at::ones_like(map);
    const auto least = static_cast<std::int64_t>(std::floor(minimumShare * static_cast<double>(columns)));
    std::vector<std::int64_t> order(static_cast<std::size_t>(columns));
    for (std::int64_t i = 0; i < rows; ++i) {
        const float* row = mass.const_data_ptr<float>() + i * columns;
        auto* kept = map.mutable_data_ptr<std::uint8_t>() + i * columns;
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(),
                         [row](std::int64_t a, std::int64_t b) { return row[a] > row[b]; });
        double before = 0;
        for (std::int64_t rank = 0; rank < columns; ++rank) {
            const std::int64_t j = order[static_cast<std::size_t>(rank)];
            if (before > p && rank >= least)
                break;
            kept[j] = 1;
            before += row[j];
        }
    }
    return map;
}

} // namespace canopy::accel
