#pragma once

#include <ATen/core/Tensor.h>

#include <stop_token>
#include <vector>

#include "accel/policies/tokens/token_forest.h"
#include "core/job/token_run.h"

namespace canopy::accel {

/// The whole order in which greedy linking eliminates roots down to one (token-forest.md 2.4): of all pairs
/// of standing roots the most similar is linked, the later below the earlier; ties: lower earlier root, then
/// lower later root. Equal to the published loop, O(R^2) where best partners are few: each root keeps its
/// best standing partner, and looks again only when its turn comes and that partner is gone (2.10).
///
/// Runs on the host after one copy of the R x R cosines; where a forest kept none (kMostDenseNodes), rows are
/// made on the device and copied one at a time.
std::vector<TokenRun::Merge> eliminateRoots(const TokenForest& forest, const std::stop_token& stop);

} // namespace canopy::accel
