#include "accel/policies/tokens/gprune_candidates.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>

#include "accel/policies/tokens/token_math.h"

namespace canopy::accel {
namespace {

constexpr double kSimilar = 0.5;
constexpr double kTemperature = 0.03;
constexpr double kUnlinked = -5000; ///< logit of a pair below kSimilar
constexpr int kSteps = 5;           ///< of the walk over the frame's graph
constexpr std::int64_t kFramesAtOnce = 16;

/// Cosines within each frame, [t, N, D] -> [t, N, N]. On the CPU a product per frame is twice as fast as the
/// batched one (accel/ops/linear.h).
at::Tensor gramOfFrames(const at::Tensor& unit) {
    if (!unit.device().is_cpu())
        return at::matmul(unit, unit.transpose(1, 2));
    std::vector<at::Tensor> frames;
    for (const auto& frame : unit.unbind(0))
        frames.push_back(rowProducts(frame, frame));
    return at::stack(frames);
}

/// Scores of some frames, x float32 [t, N, D] -> [t, N].
at::Tensor scoresOf(const at::Tensor& x) {
    const auto norms = at::linalg_vector_norm(x, 2, at::IntArrayRef{-1}, true); // [t, N, 1]
    const auto unit = x / norms.clamp_min(1e-12);
    auto graph = gramOfFrames(unit);
    const auto linked = graph >= kSimilar;
    graph = at::where(linked, graph / kTemperature, at::scalar_tensor(kUnlinked, graph.options()));
    graph = graph.softmax(-1);
    const auto degree = (graph > 0).sum(-1).to(at::kFloat); // [t, N]
    // norms^T A^5 as five products of a row with A.
    auto walk = norms.transpose(1, 2); // [t, 1, N]
    for (int step = 0; step < kSteps; ++step)
        walk = at::matmul(walk, graph);
    return (walk.squeeze(1) / degree).nan_to_num(0.0);
}

} // namespace

int candidatesPerFrame(int cellsPerFrame, double share) {
    return std::clamp(static_cast<int>(std::nearbyint(share * cellsPerFrame)), 1, cellsPerFrame);
}

FrameCandidates gpruneCandidates(const at::Tensor& features, int k) {
    std::vector<at::Tensor> parts;
    for (std::int64_t first = 0; first < features.size(0); first += kFramesAtOnce) {
        const std::int64_t count = std::min(kFramesAtOnce, features.size(0) - first);
        parts.push_back(scoresOf(features.narrow(0, first, count).to(at::kFloat)));
    }
    FrameCandidates result;
    result.scores = at::cat(parts);
    result.ranked = std::get<1>(at::sort(result.scores, /*stable=*/true, /*dim=*/-1, /*descending=*/true));
    result.cells = std::get<0>(at::sort(result.ranked.narrow(1, 0, k), -1));
    return result;
}

} // namespace canopy::accel
