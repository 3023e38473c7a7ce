#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace canopy::accel {

struct Clusters {
    at::Tensor labels;  ///< int64 [N]
    at::Tensor centres; ///< float32 [C, D]: means of the labels' members; an empty cluster keeps its centre
    at::Tensor sizes;   ///< int64 [C]
};

/// Lloyd's k-means in float32, squared Euclidean distance, a fixed number of iterations (at least 1), ties to
/// the lower number. `tokens` [N, D], any floating dtype; `start` [C, D] float32 on the same device.
/// Deterministic on every device. sparse-attention.md 3.1.
Clusters lloyd(const at::Tensor& tokens, const at::Tensor& start, int iterations);

/// `count` different tokens drawn by `seed`, as float32 centres; all of them and the first again where there
/// are fewer.
at::Tensor drawCentres(const at::Tensor& tokens, std::int64_t count, std::uint64_t seed);

} // namespace canopy::accel
