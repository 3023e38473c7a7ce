#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "accel/ops/attention.h"
#include "accel/policies/attention/sparse_host.h"

namespace canopy::accel {

/// Chosen blocks of 128 keys for every block of 128 queries, all heads of a layer. Lists stay where they were
/// made, on the card or on the CPU.
class BlockMask : public SparseMask {
public:
    BlockMask(std::int64_t tokens, std::int64_t heads);
    void forgetChoice() override { m_lists = {}; }

    /// Lists of `heads` (ascending) as ops::chooseBlocks made them for these heads alone. The first call
    /// brings all heads, and lists on a card always do.
    void take(const std::vector<std::int64_t>& heads, const ops::AttentionOptions& lists);
    /// Lists of all heads.
    void replace(ops::AttentionOptions lists) { m_lists = std::move(lists); }
    const ops::AttentionOptions& lists() const { return m_lists; }
    /// Per head; the shorter last block counts by its tokens. Reads from the card.
    std::vector<double> keptShare() const;
    std::vector<BlockBitmap> bitmaps() const; ///< per head. Reads from the card.

private:
    /// The lists on the CPU, one row per head and query block.
    struct HostRows {
        at::Tensor starts, counts, ids; ///< int64, int64, int32
    };
    HostRows hostRows() const;
    std::vector<double> keptShareOfCard() const;
    void takeHost(const std::vector<std::int64_t>& heads, const ops::AttentionOptions& lists);

    std::int64_t m_tokens;
    std::int64_t m_heads;
    std::int64_t m_blocks;
    ops::AttentionOptions m_lists;
};

/// Some heads (ascending) of queries or keys [B, L, H, D]; all of them without a copy.
at::Tensor headsOf(const at::Tensor& x, const std::vector<std::int64_t>& heads);

} // namespace canopy::accel
