#pragma once

#include <memory>
#include <vector>

#include "accel/ops/block_score.h"
#include "accel/policies/attention/sparse_host.h"

namespace canopy::accel {

/// What hosts share that keep blocks of 128 keys for blocks of 128 queries by XAttention's estimate: they say
/// only which blocks are kept. Masks are BlockMask.
class BlockHost : public SparseHost {
public:
    void choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                std::unique_ptr<SparseMask>& mask) const override;
    bool choosesWithoutHost(const AttentionCall& call) const override;
    void chooseWhere(const AttentionCall& call, const at::Tensor& anew, SparseMask& mask) const override;
    at::Tensor attend(const AttentionCall& call, const SparseMask& mask) const override;
    std::vector<double> keptShare(const SparseMask& mask) const override;
    std::vector<BlockBitmap> bitmaps(const SparseMask& mask) const override;

private:
    /// For `heads` alone; tau, where it is used, on the call's device.
    virtual ops::BlockScoreOptions optionsFor(const AttentionCall& call,
                                              const std::vector<std::int64_t>& heads) const = 0;
};

} // namespace canopy::accel
