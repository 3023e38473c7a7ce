#include "accel/policies/attention/top_k_blocks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>

#include "accel/ops/block_score.h"
#include "accel/policies/attention/block_mask.h"

namespace canopy::accel {

namespace {

/// Best blocks of every row in rising order, [heads, blocks, kept], beside the weights.
at::Tensor bestBlocks(const at::Tensor& q, const at::Tensor& k, double share, int stride) {
    ops::BlockScoreOptions options;
    options.stride = stride;
    options.wantsWeights = true;
    options.tau = at::full({q.size(2)}, 1.0F, q.options().dtype(at::kFloat));
    const at::Tensor weights = ops::chooseBlocks(q, k, options).weights[0];
    const std::int64_t blocks = weights.size(2);
    const auto kept = std::max<std::int64_t>(1, std::llround(share * static_cast<double>(blocks)));
    const at::Tensor best = std::get<1>(weights.sort(true, 2, true)).slice(2, 0, kept);
    return std::get<0>(best.sort(2));
}

/// All rows are of one length, so that lists need no numbers from the card.
ops::AttentionOptions listsOf(const at::Tensor& best) {
    const std::int64_t rows = best.size(0) * best.size(1), kept = best.size(2);
    ops::AttentionOptions lists;
    if (best.is_cpu()) {
        lists.keyBlockOffsets = at::arange(rows + 1, at::kLong) * kept;
        lists.keyBlockIds = best.flatten().to(at::kInt).contiguous();
        return lists;
    }
    const auto place = best.options().dtype(at::kInt);
    // Few operators know 16-bit unsigned numbers; those below 32,768 have the bits of signed ones.
    lists.cardLists = ops::CardKeyLists{kernels::kAttentionBlock, at::arange(rows, place) * kept,
                                        at::full({rows}, kept, place),
                                        best.flatten().to(at::kShort).contiguous().view(at::kUInt16)};
    return lists;
}

} // namespace

void TopKBlocks::choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                        std::unique_ptr<SparseMask>& mask) const {
    at::Tensor best = bestBlocks(headsOf(call.q, heads), headsOf(call.k, heads), m_share, m_stride);
    if (!ops::choosesOnCard(call.q))
        best = best.cpu();
    if (!mask)
        mask = std::make_unique<BlockMask>(call.q.size(1), call.q.size(2));
    static_cast<BlockMask&>(*mask).take(heads, listsOf(best));
}

bool TopKBlocks::choosesWithoutHost(const AttentionCall& call) const {
    return ops::choosesOnCard(call.q);
}

void TopKBlocks::chooseWhere(const AttentionCall& call, const at::Tensor& anew, SparseMask& mask) const {
    auto& blocks = static_cast<BlockMask&>(mask);
    ops::AttentionOptions lists = listsOf(bestBlocks(call.q, call.k, m_share, m_stride));
    const std::int64_t heads = anew.size(0);
    // The mask's lists are listsOf() all heads as well: rows are of one length.
    const auto perHead = [heads](const at::Tensor& ids) { return ids.view(at::kShort).view({heads, -1}); };
    lists.cardLists->ids =
        at::where(anew.unsqueeze(1), perHead(lists.cardLists->ids), perHead(blocks.lists().cardLists->ids))
            .flatten()
            .view(at::kUInt16);
    blocks.replace(std::move(lists));
}

at::Tensor TopKBlocks::attend(const AttentionCall& call, const SparseMask& mask) const {
    return ops::attention(call.q, call.k, call.v, static_cast<const BlockMask&>(mask).lists());
}

std::vector<double> TopKBlocks::keptShare(const SparseMask& mask) const {
    return static_cast<const BlockMask&>(mask).keptShare();
}

std::vector<BlockBitmap> TopKBlocks::bitmaps(const SparseMask& mask) const {
    return static_cast<const BlockMask&>(mask).bitmaps();
}

} // namespace canopy::accel
