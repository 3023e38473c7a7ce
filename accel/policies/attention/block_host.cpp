#include "accel/policies/attention/block_host.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <numeric>

#include "accel/policies/attention/block_mask.h"

namespace canopy::accel {

namespace {

std::vector<std::int64_t> allHeads(const AttentionCall& call) {
    std::vector<std::int64_t> heads(static_cast<std::size_t>(call.q.size(2)));
    std::iota(heads.begin(), heads.end(), 0);
    return heads;
}

/// bool [H] beside `q`. The driver has copied the host's flags when this returns; it waits for nothing.
at::Tensor flagsOf(const std::vector<std::int64_t>& heads, const at::Tensor& q) {
    at::Tensor flags = at::zeros({q.size(2)}, at::kBool);
    for (const std::int64_t head : heads)
        flags.mutable_data_ptr<bool>()[head] = true;
    return flags.to(q.device(), /*non_blocking=*/true);
}

} // namespace

void BlockHost::choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                       std::unique_ptr<SparseMask>& mask) const {
    if (!mask)
        mask = std::make_unique<BlockMask>(call.q.size(1), call.q.size(2));
    auto& blocks = static_cast<BlockMask&>(*mask);
    const bool isForAll = static_cast<std::int64_t>(heads.size()) == call.q.size(2);
    if (!isForAll && blocks.lists().cardLists)
        chooseWhere(call, flagsOf(heads, call.q), blocks);
    else
        blocks.take(
            heads,
            ops::chooseBlocks(headsOf(call.q, heads), headsOf(call.k, heads), optionsFor(call, heads)).lists);
}

bool BlockHost::choosesWithoutHost(const AttentionCall& call) const {
    return ops::choosesOnCard(call.q);
}

void BlockHost::chooseWhere(const AttentionCall& call, const at::Tensor& anew, SparseMask& mask) const {
    auto& blocks = static_cast<BlockMask&>(mask);
    ops::BlockScoreOptions options = optionsFor(call, allHeads(call));
    options.wanted = anew;
    options.previous = blocks.lists().cardLists;
    blocks.replace(ops::chooseBlocks(call.q, call.k, options).lists);
}

at::Tensor BlockHost::attend(const AttentionCall& call, const SparseMask& mask) const {
    return ops::attention(call.q, call.k, call.v, static_cast<const BlockMask&>(mask).lists());
}

std::vector<double> BlockHost::keptShare(const SparseMask& mask) const {
    return static_cast<const BlockMask&>(mask).keptShare();
}

std::vector<BlockBitmap> BlockHost::bitmaps(const SparseMask& mask) const {
    return static_cast<const BlockMask&>(mask).bitmaps();
}

} // namespace canopy::accel
