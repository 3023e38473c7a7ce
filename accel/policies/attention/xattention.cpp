#include "accel/policies/attention/xattention.h"

#include <ATen/ops/tensor.h>

#include <numeric>

#include "accel/policies/attention/block_mask.h"

namespace canopy::accel {

XAttention::XAttention(HeadThresholds tau, int stride, bool keepsFirst)
    : m_tau(std::move(tau))
    , m_stride(stride)
    , m_keepsFirst(keepsFirst) {}

ops::BlockScoreOptions XAttention::optionsFor(const AttentionCall& call,
                                              const std::vector<std::int64_t>& heads) const {
    ops::BlockScoreOptions options;
    options.stride = m_stride;
    options.keepsFirst = m_keepsFirst;
    std::vector<float> tau;
    for (const std::int64_t h : heads)
        tau.push_back(static_cast<float>(m_tau.at(call.layer, h)));
    // The driver has taken a copy when this returns; waiting for it would stop the queue.
    options.tau = at::tensor(tau, at::kFloat).to(call.q.device(), /*non_blocking=*/true);
    return options;
}

void XAttention::choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                        std::unique_ptr<SparseMask>& mask) const {
    const auto options = optionsFor(call, heads);
    const auto choice = ops::chooseBlocks(headsOf(call.q, heads), headsOf(call.k, heads), options);
    if (!mask)
        mask = std::make_unique<BlockMask>(call.q.size(1), call.q.size(2));
    static_cast<BlockMask&>(*mask).take(heads, choice.lists);
}

bool XAttention::choosesWithoutHost(const AttentionCall& call) const {
    return ops::choosesOnCard(call.q);
}

void XAttention::chooseWhere(const AttentionCall& call, const at::Tensor& anew, SparseMask& mask) const {
    auto& blocks = static_cast<BlockMask&>(mask);
    std::vector<std::int64_t> all(static_cast<std::size_t>(call.q.size(2)));
    std::iota(all.begin(), all.end(), 0);
    auto options = optionsFor(call, all);
    options.wanted = anew;
    options.previous = blocks.lists().cardLists;
    blocks.replace(ops::chooseBlocks(call.q, call.k, options).lists);
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
