#pragma once

#include <vector>

#include "accel/policies/attention/block_host.h"
#include "accel/policies/attention/head_thresholds.h"

namespace canopy::accel {

/// XAttention (arXiv 2503.16428): blocks of 128 keys for blocks of 128 queries by the antidiagonal estimate,
/// the shortest prefix that reaches tau of its mass, and key block 0 in any case as the public code has it.
/// sparse-attention.md 2.
class XAttention : public BlockHost {
public:
    /// `stride` 8 or 16.
    XAttention(HeadThresholds tau, int stride, bool keepsFirst = true);

private:
    ops::BlockScoreOptions optionsFor(const AttentionCall& call,
                                      const std::vector<std::int64_t>& heads) const override;

    HeadThresholds m_tau;
    int m_stride;
    bool m_keepsFirst;
};

} // namespace canopy::accel
