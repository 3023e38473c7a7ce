#pragma once

#include <vector>

#include "accel/policies/attention/block_host.h"

namespace canopy::accel {

/// Baseline: every block of queries sees the same share of the blocks of keys, at least one, the best by
/// XAttention's estimate, ties by number.
class TopKBlocks : public BlockHost {
public:
    /// `share` above 0, at most 1; `stride` 8 or 16.
    TopKBlocks(double share, int stride)
        : m_share(share)
        , m_stride(stride) {}

private:
    ops::BlockScoreOptions optionsFor(const AttentionCall& call,
                                      const std::vector<std::int64_t>& heads) const override;

    double m_share;
    int m_stride;
};

} // namespace canopy::accel
