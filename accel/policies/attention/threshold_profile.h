#pragma once

#include "accel/nn/forward_context.h"

namespace canopy::accel {

/// Baseline to calibration: a head's threshold from one look at its true attention (the one-pass profile of
/// XAttention's public code, sparse-attention.md 2.6). For each block of 128 queries: the fewest key blocks
/// that hold `share` of the true mass, the lowest antidiagonal estimate among them, and the part of the
/// estimated mass that blocks of at least that estimate hold; the mean of these over the query blocks. In
/// (0, 1]. `head` counts in the call.
double profiledThreshold(const AttentionCall& call, std::int64_t head, int stride, double share = 0.9);

} // namespace canopy::accel
