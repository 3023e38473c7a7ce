#include "accel/policies/attention/top_k_blocks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <cmath>

#include "accel/ops/block_score.h"
#include "accel/policies/attention/block_mask.h"

namespace canopy::accel {

void TopKBlocks::choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                        std::unique_ptr<SparseMask>& mask) const {
    ops::BlockScoreOptions options;
    options.stride = m_stride;
    options.wantsWeights = true;
    options.tau =
        at::full({static_cast<std::int64_t>(heads.size())}, 1.0F, call.q.options().dtype(at::kFloat));
    const auto choice = ops::chooseBlocks(headsOf(call.q, heads), headsOf(call.k, heads), options);
    const at::Tensor weights = choice.weights[0].cpu(); // [heads, blocks, blocks]
    const std::int64_t blocks = weights.size(2), rows = weights.numel() / blocks;
    const auto kept = std::max<std::int64_t>(1, std::llround(m_share * static_cast<double>(blocks)));
    const at::Tensor best = std::get<1>(weights.sort(true, 2, true)).slice(2, 0, kept);
    ops::AttentionOptions lists;
    lists.keyBlockOffsets = at::arange(rows + 1, at::kLong) * kept;
    lists.keyBlockIds = std::get<0>(best.sort(2)).flatten().to(at::kInt).contiguous();
    if (!mask)
        mask = std::make_unique<BlockMask>(call.q.size(1), call.q.size(2));
    static_cast<BlockMask&>(*mask).take(heads, lists);
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
