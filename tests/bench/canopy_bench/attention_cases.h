#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "accel/ops/attention.h"

namespace canopy::bench {

/// One self-attention problem. Heads may differ in density ("unequal": 0.05 to 0.55 over the heads).
struct AttentionCase {
    std::string name;
    std::int64_t heads = 1, tokens = 1, depth = 128;
    double density = 1.0; ///< 1: dense, without lists
    std::int64_t blockRows = 128;
    bool unequalHeads = false;
    double emptyShare = 0.0; ///< of query blocks, which see nothing
    double spread = 1.0;     ///< standard deviation of q and k
};

/// Random inputs and lists of a case on the card, bfloat16 [1, L, H, D] as a model's projections lie.
struct AttentionProblem {
    at::Tensor q, k, v;
    accel::ops::AttentionOptions options;
    at::Tensor chosen;        ///< bool [H, query blocks, key blocks] on the CPU; undefined when dense
    double pairs = 0;         ///< selected (query, key) pairs over all heads
    double metadataBytes = 0; ///< of the lists and the work queue on the card
};

AttentionProblem makeProblem(const AttentionCase& what, const at::Device& device, std::uint64_t seed);

/// Gives a problem these lists: bool [H, query blocks, key blocks] on the CPU.
void chooseBlocks(AttentionProblem& problem, const AttentionCase& what, const at::Tensor& chosen);

/// 4 D FLOP for each selected pair: what every rate in the tables counts.
double selectedFlop(const AttentionCase& what, const AttentionProblem& problem);

/// The shape sweep of the correctness check, and what the targets of the project time.
std::vector<AttentionCase> checkCases();
std::vector<AttentionCase> timedCases(bool quick);

} // namespace canopy::bench
