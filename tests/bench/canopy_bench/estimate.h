#pragma once

#include <string>
#include <vector>

#include "tests/bench/canopy_bench/attention_cases.h"
#include "tests/bench/canopy_bench/interleave.h"

namespace canopy::bench {

/// A choice of blocks by the antidiagonal estimate: inputs of an AttentionCase, S and tau of every head.
struct EstimateCase {
    AttentionCase what;
    std::int64_t stride = 8;
    double tau = 0.9;
};

std::vector<EstimateCase> estimateCases(bool quick);

/// LibTorch's operators in the order of the method's public code (product of rearranged cells, softmax, block
/// sums, sort, running sum, mask), first, and ops::chooseBlocks. The rate counts the product alone.
std::vector<Contender> estimateContenders(const EstimateCase& estimate, const AttentionProblem& problem);

} // namespace canopy::bench
