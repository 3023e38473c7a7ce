#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace canopy::accel {

/// Candidate cells of each frame by G-Prune (arXiv 2501.02268; token-forest.md 2.2). On the features' device,
/// without waiting for it.
struct FrameCandidates {
    at::Tensor scores; ///< float32 [T, N]
    at::Tensor cells;  ///< int64 [T, k], ascending in each frame
    at::Tensor ranked; ///< int64 [T, N], by falling score; equal scores: lower cell first
};

/// How many candidates a frame has: share * N, half to even.
int candidatesPerFrame(int cellsPerFrame, double share);

/// `features` [T, N, D], computed in float32; 1 <= k <= N.
FrameCandidates gpruneCandidates(const at::Tensor& features, int k);

} // namespace canopy::accel
