#pragma once

#include <cstdint>

#include "core/formats/model_config.h"

namespace canopy {

/// Floating-point operations of one pass over one chunk in one guidance branch: flow-cache.md 9. A multiply
/// and an add count as two.
struct ChunkFlop {
    double linear = 0;  ///< everything but self-attention: projections, feed-forward, cross-attention
    double context = 0; ///< self-attention to one chunk's worth of keys
    double pass(double contextChunks) const { return linear + contextChunks * context; }
};
/// `chunkTokens` video tokens, `textTokens` text tokens attended to.
ChunkFlop chunkFlop(const DitConfig& dit, std::int64_t chunkTokens, int textTokens);

/// Of a whole clip's sampling loop in which every step runs: one chunk that attends to itself, `density` of
/// all pairs of tokens.
double wholeClipFlop(const DitConfig& dit, std::int64_t videoTokens, int textTokens, int steps, int branches,
                     double density = 1);

} // namespace canopy
