#pragma once

#include <cstdint>

#include "accel/cuda/block_attention.h"

namespace canopy::accel::cuda {

/// Key tokens of one stage, the tile that one pair of products works on; it is fetched as two boxes of rows.
constexpr int kStageRows = 128, kBoxRows = 64;

/// Number `index` of all tiles, (b * H + h) * tileCount + tile.
struct TileIndex {
    std::int32_t batch, head, tile;
};

__device__ __forceinline__ TileIndex tileIndex(std::int32_t index, std::int32_t heads,
                                               std::int32_t tileCount) {
    const std::int32_t row = index / tileCount;
    return {row / heads, row % heads, index % tileCount};
}

__device__ __forceinline__ std::int64_t entryOf(const KeyLists& keys, const TileIndex& at) {
    return at.batch * keys.batchStride + at.head * keys.headStride + at.tile;
}

/// Keys of one stage: two boxes of kBoxRows rows, of which rows [low, high) of the stage count.
struct KeyStage {
    std::int32_t firstRow = 0;
    std::int32_t secondRow = 0;
    std::int32_t low = 0;
    std::int32_t high = kStageRows;
    /// Row r of the tile sees columns up to diagonal + r; from kStageRows - 1 on, all.
    std::int32_t diagonal = kStageRows;
    bool last = false; ///< of its tile
};

/// Walks the keys of one tile stage by stage. All lanes of a warp call it together; the result is uniform.
class KeyWalk {
public:
    __device__ KeyWalk(const KeyLists& keys, std::int32_t queryTokens, std::int32_t keyTokens,
                       const TileIndex& at, const TokenSpan& queries)
        : m_keys(keys)
        , m_keyTokens(keyTokens) {
        if (keys.kind == KeyListKind::All) {
            m_count = 1;
            m_only = {0, m_keyTokens};
        } else if (keys.kind == KeyListKind::Causal) {
            m_count = 1;
            m_firstLimit = keyTokens - queryTokens + queries.begin;
            m_only = {0, keyTokens - queryTokens + queries.end};
        } else {
            const std::int64_t entry = entryOf(keys, at);
            m_start = keys.starts[entry];
            m_count = keys.counts[entry];
        }
    }

    __device__ bool empty() const { return m_count == 0; }

    /// The next stage; only while the one before was not the last.
    __device__ KeyStage next() {
        switch (m_keys.kind) {
        case KeyListKind::Blocks128:
            return nextBlock();
        case KeyListKind::Blocks64:
            return nextPair();
        default:
            return nextOfRun();
        }
    }

private:
    __device__ KeyStage nextBlock() {
        KeyStage stage;
        stage.firstRow = id(m_at) * kStageRows;
        stage.secondRow = stage.firstRow + kBoxRows;
        stage.high = visibleRows(stage.firstRow, kStageRows);
        stage.last = ++m_at == m_count;
        return stage;
    }

    __device__ KeyStage nextPair() {
        KeyStage stage;
        stage.firstRow = id(m_at++) * kBoxRows;
        if (m_at == m_count) {
            stage.secondRow = stage.firstRow;
            stage.high = visibleRows(stage.firstRow, kBoxRows);
        } else {
            stage.secondRow = id(m_at++) * kBoxRows;
            stage.high = kBoxRows + visibleRows(stage.secondRow, kBoxRows);
        }
        stage.last = m_at == m_count;
        return stage;
    }

    __device__ KeyStage nextOfRun() {
        if (m_row == m_end) {
            const TokenSpan run = m_keys.kind == KeyListKind::Runs
                                      ? m_keys.spans[m_start + static_cast<std::uint32_t>(m_at)]
                                      : m_only;
            ++m_at;
            m_begin = m_row = run.begin;
            m_end = run.end;
        }
        KeyStage stage;
        stage.firstRow = m_row;
        const std::int32_t left = m_end - m_row;
        if (left >= kStageRows) {
            m_row += kStageRows;
        } else {
            // A ragged end reaches back into its own run, so that no row from outside it enters a product. A
            // run at the end of all keys needs no such care: what lies beyond arrives as 0.
            if (m_end - m_begin >= kStageRows && m_end != m_keyTokens) {
                stage.firstRow = m_end - kStageRows;
                stage.low = kStageRows - left;
            } else {
                stage.high = left;
            }
            m_row = m_end;
        }
        stage.secondRow = stage.firstRow + kBoxRows;
        if (m_keys.kind == KeyListKind::Causal)
            stage.diagonal = m_firstLimit - stage.firstRow;
        stage.last = m_row == m_end && m_at == m_count;
        return stage;
    }

    /// Of `rows` rows from `first`. A number beyond the last block, which no list should hold, has none.
    __device__ std::int32_t visibleRows(std::int32_t first, std::int32_t rows) const {
        return max(0, min(rows, m_keyTokens - first));
    }

    /// Number i of the list; the warp reads 32 of them at a time.
    __device__ std::int32_t id(std::int32_t i) {
        constexpr std::int32_t kLanes = 32;
        if (i % kLanes == 0) {
            const std::int32_t mine = i + static_cast<std::int32_t>(threadIdx.x % kLanes);
            m_ids = mine < m_count ? m_keys.ids[m_start + static_cast<std::uint32_t>(mine)] : 0;
        }
        return __shfl_sync(0xFFFFFFFFU, m_ids, i % kLanes);
    }

    const KeyLists& m_keys;
    std::int32_t m_keyTokens;
    std::uint32_t m_start = 0;
    std::int32_t m_count = 0;
    std::int32_t m_at = 0;
    std::int32_t m_ids = 0;
    TokenSpan m_only;              ///< of the kinds without lists
    std::int32_t m_firstLimit = 0; ///< last key of the tile's first query
    std::int32_t m_begin = 0, m_row = 0, m_end = 0;
};

} // namespace canopy::accel::cuda
