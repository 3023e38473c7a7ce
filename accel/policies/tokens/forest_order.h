#pragma once

#include <cstdint>
#include <vector>

#include "accel/policies/tokens/token_forest.h"
#include "core/job/token_run.h"

namespace canopy::accel {

// The order in which a forest's nodes are kept: a budget of K keeps the first K (token-forest.md 2.11). All
// modes begin with the roots: the one that is never eliminated, then those eliminated last to first. What
// follows differs.

/// ForestPrune's code: by depth, then frame, then cell (2.5).
std::vector<std::int32_t> codeOrder(const TokenForest& forest, const std::vector<TokenRun::Merge>& merges,
                                    std::int64_t nodesPerFrame);

/// ForestPrune's paper (2.7, 2.12), read backwards from what is removed first: the leaves, tree by tree,
/// deepest tree first (ties: more nodes, then the earlier tree), in a tree the latest frame first, then the
/// higher parent similarity, then the higher cell; when no leaf is left the trunks, latest frame first over
/// trees in that same order.
std::vector<std::int32_t> paperOrder(const TokenForest& forest, const std::vector<TokenRun::Merge>& merges,
                                     std::int64_t nodesPerFrame);

/// Our variant (2.12): after the roots, one node at a time, the largest of (1 - similarity to the parent) +
/// 0.1 [trunk] + 0.05 log2(1 + depth of its tree) - 0.5 (kept in its frame / candidates of a frame); ties:
/// the earlier frame, then the lower cell. Roots count as kept.
std::vector<std::int32_t> balancedOrder(const TokenForest& forest, const std::vector<TokenRun::Merge>& merges,
                                        std::int64_t nodesPerFrame);

} // namespace canopy::accel
