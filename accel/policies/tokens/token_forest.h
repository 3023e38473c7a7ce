#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <stop_token>
#include <vector>

namespace canopy::accel {

/// Which earlier node a candidate hangs from.
enum class ParentRule : std::uint8_t {
    TreeTail,  ///< the tail of the tree whose member resembles it most (public code, token-forest.md 2.3)
    BestMatch, ///< the earlier node with the largest similarity - 0.1 * distance (paper, 2.7)
};

struct ForestRule {
    ParentRule parents = ParentRule::TreeTail;
    double semanticThreshold = 0.9; ///< tau_s: cosine of a feasible pair, at least
    double spatialThreshold = 0.8;  ///< tau_sp: Chebyshev distance on [0,1] coordinates at most 1 - tau_sp
};

/// Trees over the candidates of all frames, before root merging. Nodes in (frame, cell) order; M nodes.
struct TokenForest {
    std::vector<std::int32_t> cell;   ///< flat, frame * N + cell of the frame
    std::vector<std::int32_t> tree;   ///< numbered in the order of their roots
    std::vector<std::int32_t> parent; ///< -1 = root
    std::vector<std::int32_t> match;  ///< -1 = none
    std::vector<std::int32_t> depth;
    std::vector<float> parentSimilarity; ///< 0 for roots
    std::vector<float> matchSimilarity;
    std::vector<std::int32_t> roots; ///< nodes, ascending

    at::Tensor unit; ///< float32 [M, D] unit features, on the device
    /// Cosines, float32 [M, M] on the device: entry (i, j) is valid for frame(j) <= frame(i). Undefined above
    /// `mostDenseNodes`, where blocks of it lived one at a time.
    at::Tensor cosines;
};

/// Nodes up to which all cosines are kept (268 MB).
inline constexpr std::int64_t kMostDenseNodes = 8192;

/// `features` [T, N, D] with N = rows x columns, `cells` int64 [T, k] ascending. A loop over frames of tensor
/// operations on the features' device; one copy to the host at the end, 40 bytes a node. Stops between
/// frames.
TokenForest buildForest(const at::Tensor& features, const at::Tensor& cells, int rows, int columns,
                        const ForestRule& rule, const std::stop_token& stop,
                        std::int64_t mostDenseNodes = kMostDenseNodes);

} // namespace canopy::accel
