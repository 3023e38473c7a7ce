#pragma once

#include "accel/policies/attention/sparse_host.h"

namespace canopy::accel {

/// Baseline: every block of queries sees the same share of the blocks of keys, at least one, the best by
/// XAttention's estimate, ties by number.
class TopKBlocks : public SparseHost {
public:
    /// `share` above 0, at most 1; `stride` 8 or 16.
    TopKBlocks(double share, int stride)
        : m_share(share)
        , m_stride(stride) {}

    void choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                std::unique_ptr<SparseMask>& mask) const override;
    bool choosesWithoutHost(const AttentionCall& call) const override;
    void chooseWhere(const AttentionCall& call, const at::Tensor& anew, SparseMask& mask) const override;
    at::Tensor attend(const AttentionCall& call, const SparseMask& mask) const override;
    std::vector<double> keptShare(const SparseMask& mask) const override;
    std::vector<BlockBitmap> bitmaps(const SparseMask& mask) const override;

private:
    double m_share;
    int m_stride;
};

} // namespace canopy::accel
