#include "accel/policies/attention/block_mask.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "accel/kernels/cpu/block_attention.h"

namespace canopy::accel {

namespace {

using kernels::kAttentionBlock;

} // namespace

at::Tensor headsOf(const at::Tensor& x, const std::vector<std::int64_t>& heads) {
    if (static_cast<std::int64_t>(heads.size()) == x.size(2))
        return x;
    return x.index_select(2, at::tensor(heads, at::kLong).to(x.device()));
}

BlockMask::BlockMask(std::int64_t tokens, std::int64_t heads)
    : m_tokens(tokens)
    , m_heads(heads)
    , m_blocks((tokens + kAttentionBlock - 1) / kAttentionBlock) {}

void BlockMask::take(const std::vector<std::int64_t>& heads, const ops::AttentionOptions& lists) {
    if (static_cast<std::int64_t>(heads.size()) == m_heads)
        m_lists = lists;
    else
        takeHost(heads, lists);
}

void BlockMask::takeHost(const std::vector<std::int64_t>& heads, const ops::AttentionOptions& lists) {
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> ids;
    std::size_t next = 0;
    for (std::int64_t h = 0; h < m_heads; ++h) {
        const bool isNew = next < heads.size() && heads[next] == h;
        const auto& from = isNew ? lists : m_lists;
        const auto* offset = from.keyBlockOffsets.const_data_ptr<std::int64_t>() +
                             (isNew ? static_cast<std::int64_t>(next) : h) * m_blocks;
        const auto* id = from.keyBlockIds.const_data_ptr<std::int32_t>();
        next += isNew;
        for (std::int64_t b = 0; b < m_blocks; ++b) {
            ids.insert(ids.end(), id + offset[b], id + offset[b + 1]);
            offsets.push_back(static_cast<std::int64_t>(ids.size()));
        }
    }
    m_lists.keyBlockOffsets = at::tensor(offsets, at::kLong);
    m_lists.keyBlockIds = at::tensor(ids, at::kInt);
}

BlockMask::HostRows BlockMask::hostRows() const {
    if (m_lists.cardLists)
        return {m_lists.cardLists->starts.cpu().to(at::kLong), m_lists.cardLists->counts.cpu().to(at::kLong),
                m_lists.cardLists->ids.cpu().to(at::kInt)};
    return {m_lists.keyBlockOffsets.slice(0, 0, -1).contiguous(), m_lists.keyBlockOffsets.diff(),
            m_lists.keyBlockIds};
}

std::vector<BlockBitmap> BlockMask::bitmaps() const {
    const auto [starts, counts, ids] = hostRows();
    std::vector<BlockBitmap> maps;
    for (std::int64_t h = 0; h < m_heads; ++h) {
        BlockBitmap map = emptyBitmap(static_cast<int>(m_blocks));
        for (std::int64_t b = 0; b < m_blocks; ++b) {
            const std::int64_t row = h * m_blocks + b;
            const auto* id = ids.const_data_ptr<std::int32_t>() + starts.const_data_ptr<std::int64_t>()[row];
            for (std::int64_t i = 0; i < counts.const_data_ptr<std::int64_t>()[row]; ++i)
                map.keep(static_cast<int>(b), id[i]);
        }
        maps.push_back(std::move(map));
    }
    return maps;
}

/// Lists are ascending: only their last number can be the shorter block. Of the card the host reads one
/// number a head.
std::vector<double> BlockMask::keptShareOfCard() const {
    const ops::CardKeyLists& lists = *m_lists.cardLists;
    const std::int64_t missing = m_blocks * kAttentionBlock - m_tokens; // keys of the last block
    const at::Tensor counts = lists.counts.to(at::kLong);
    const at::Tensor last = (lists.starts + lists.counts - 1).clamp(0, lists.ids.size(0) - 1);
    // 16-bit unsigned tensors know no indexing; the bits are the same.
    const at::Tensor endsShort =
        (lists.ids.view(at::kShort).index_select(0, last) == m_blocks - 1) & (counts > 0);
    at::Tensor queries = at::full({m_blocks}, kAttentionBlock, counts.options());
    queries.slice(0, m_blocks - 1).sub_(missing);
    const at::Tensor pairs =
        ((counts * kAttentionBlock - endsShort.to(at::kLong) * missing).view({m_heads, m_blocks}) * queries)
            .sum(1)
            .to(at::kDouble)
            .cpu();
    std::vector<double> share;
    for (std::int64_t h = 0; h < m_heads; ++h)
        share.push_back(pairs.const_data_ptr<double>()[h] / static_cast<double>(m_tokens) /
                        static_cast<double>(m_tokens));
    return share;
}

std::vector<double> BlockMask::keptShare() const {
    if (m_lists.cardLists)
        return keptShareOfCard();
    const auto [starts, counts, ids] = hostRows();
    const auto tokensOf = [this](std::int64_t block) {
        return static_cast<double>(std::min(kAttentionBlock, m_tokens - block * kAttentionBlock));
    };
    std::vector<double> share;
    for (std::int64_t h = 0; h < m_heads; ++h) {
        double pairs = 0;
        for (std::int64_t b = 0; b < m_blocks; ++b) {
            const std::int64_t row = h * m_blocks + b;
            const auto* id = ids.const_data_ptr<std::int32_t>() + starts.const_data_ptr<std::int64_t>()[row];
            double keys = 0;
            for (std::int64_t i = 0; i < counts.const_data_ptr<std::int64_t>()[row]; ++i)
                keys += tokensOf(id[i]);
            pairs += tokensOf(b) * keys;
        }
        share.push_back(pairs / static_cast<double>(m_tokens) / static_cast<double>(m_tokens));
    }
    return share;
}

} // namespace canopy::accel
