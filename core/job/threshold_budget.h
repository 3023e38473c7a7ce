#pragma once

#include <vector>

namespace canopy {

/// One candidate threshold of one head: what it costs and what it saves.
struct ThresholdOption {
    double error = 0;
    double sparsity = 0; ///< skipped share of pairs
};

struct ThresholdChoice {
    std::vector<int> option; ///< for each head
    double error = 0;        ///< summed over heads
    double sparsity = 0;     ///< mean over heads
    double lambda = 0;       ///< error per unit of summed sparsity at the relaxed optimum
    double gap = 0;          ///< certificate: `error` is at most so much above the optimum
};

/// Multiple-choice knapsack of sparse-attention.md 5.1: one option for every head with the least summed error
/// whose mean sparsity is at least `budget`. All heads have equally many options, at least one; `shared` is
/// an option index that meets the budget when every head takes it. The result is never worse than that.
///
/// Lagrangian relaxation: the smallest lambda whose minimisers of error - lambda sparsity (ties: the sparser)
/// meet the budget gives a bound and, repaired, a solution. Options whose reduced cost exceeds the difference
/// are dropped, and branch and bound over the rest closes it (gap 0) or ends after `mostNodes` with the
/// difference that is left.
ThresholdChoice chooseThresholds(const std::vector<std::vector<ThresholdOption>>& heads, double budget,
                                 int shared, long mostNodes = 1'000'000);

} // namespace canopy
