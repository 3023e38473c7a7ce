#include "accel/policies/attention/xattention.h"

#include <ATen/ops/tensor.h>

#include "accel/ops/block_score.h"
#include "accel/policies/attention/block_mask.h"

namespace canopy::accel {

XAttention::XAttention(HeadThresholds tau, int stride, bool keepsFirst)
    : m_tau(std::move(tau))
    , m_stride(stride)
    , m_keepsFirst(keepsFirst) {}

void XAttention::choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                        std::unique_ptr<SparseMask>& mask) const {
    ops::BlockScoreOptions options;
    options.stride = m_stride;
    options.keepsFirst = m_keepsFirst;
    std::vector<float> tau;
    for (const std::int64_t h : heads)
        tau.push_back(static_cast<float>(m_tau.at(call.layer, h)));
    options.tau = at::tensor(tau, at::kFloat).to(call.q.device());
    const auto choice = ops::chooseBlocks(headsOf(call.q, heads), headsOf(call.k, heads), options);
    if (!mask)
        mask = std::make_unique<BlockMask>(call.q.size(1), call.q.size(2));
    static_cast<BlockMask&>(*mask).take(heads, choice.lists);
}

at::Tensor XAttention::attend(const AttentionCall& call, const SparseMask& mask) const {
    return ops::attention(call.q, call.k, call.v, static_cast<const BlockMask&>(mask).lists());
}

std::vector<double> XAttention::keptShare(const SparseMask& mask) const {
    return static_cast<const BlockMask&>(mask).keptShare();
}

std::vector<BlockBitmap> XAttention::bitmaps(const SparseMask& mask) const {
    return static_cast<const BlockMask&>(mask).bitmaps();
}

} // namespace canopy::accel
