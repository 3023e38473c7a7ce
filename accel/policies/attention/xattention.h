#pragma once

#include <vector>

#include "accel/ops/block_score.h"
#include "accel/policies/attention/head_thresholds.h"
#include "accel/policies/attention/sparse_host.h"

namespace canopy::accel {

/// XAttention (arXiv 2503.16428): blocks of 128 keys for blocks of 128 queries by the antidiagonal estimate,
/// the shortest prefix that reaches tau of its mass, and key block 0 in any case as the public code has it.
/// sparse-attention.md 2.
class XAttention : public SparseHost {
public:
    /// `stride` 8 or 16.
    XAttention(HeadThresholds tau, int stride, bool keepsFirst = true);

    void choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                std::unique_ptr<SparseMask>& mask) const override;
    bool choosesWithoutHost(const AttentionCall& call) const override;
    void chooseWhere(const AttentionCall& call, const at::Tensor& anew, SparseMask& mask) const override;
    at::Tensor attend(const AttentionCall& call, const SparseMask& mask) const override;
    std::vector<double> keptShare(const SparseMask& mask) const override;
    std::vector<BlockBitmap> bitmaps(const SparseMask& mask) const override;

private:
    ops::BlockScoreOptions optionsFor(const AttentionCall& call,
                                      const std::vector<std::int64_t>& heads) const;

    HeadThresholds m_tau;
    int m_stride;
    bool m_keepsFirst;
};

} // namespace canopy::accel
