#pragma once

#include "accel/kernels/cpu/attention_tile.h"
#include "accel/kernels/cpu/block_score_kernel_set.h"

// The estimate of one work item over an instruction set of attention_tile.h, whose products it uses: lanes
// are cells of queries, scores lie transposed, R[key cell][query cell], so that the sum over a block of keys
// is an addition of whole registers.
namespace canopy::accel::kernels {

template <class Isa>
class BlockScoreTile {
    using Tile = AttentionTile<Isa>;
    using Vec = typename Isa::Vec;
    static constexpr int kLanes = Isa::kLanes;
    static constexpr int kVectors = Isa::kQueryVectors;
    static constexpr int kTile = Tile::kTile;
    static constexpr int kBlockTokens = 128;
    static_assert(kScoreItemCells % kTile == 0);

    static std::int64_t ceilDiv(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

    /// Float32 or 4-byte units, in multiples of 16.
    struct Scratch {
        float* sums;      ///< [blocks][kTile] over the cells of a key block
        std::uint32_t* q; ///< [S D / step][kTile]
        float* scores;    ///< [cells, padded][kTile]
    };
    static std::int64_t queryUnits(int headDim, int stride) {
        return std::int64_t{stride} * headDim / Isa::kStep * kTile;
    }
    static std::int64_t paddedCells(std::int64_t tokens, int stride) {
        return ceilDiv(ceilDiv(tokens, stride), kScoreItemCells) * kScoreItemCells;
    }

public:
    static std::size_t scratchBytes(std::int64_t tokens, int headDim, int stride) {
        const std::int64_t floats = (ceilDiv(tokens, kBlockTokens) + 16) / 16 * 16 * kTile +
                                    queryUnits(headDim, stride) + paddedCells(tokens, stride) * kTile;
        return static_cast<std::size_t>(floats) * 4;
    }

    static void runItem(const BlockScoreItem& item) {
        auto* at = static_cast<float*>(item.scratch);
        Scratch s{};
        s.sums = at;
        s.q = reinterpret_cast<std::uint32_t*>(at + (item.blocks + 16) / 16 * 16 * kTile);
        s.scores = reinterpret_cast<float*>(s.q + queryUnits(item.headDim, item.stride));

        const std::int64_t cells = ceilDiv(item.tokens, item.stride);
        const std::int64_t left = cells - item.firstCell;
        const std::int64_t mine = left < kScoreItemCells ? left : kScoreItemCells;
        const std::int64_t perBlock = kBlockTokens / item.stride;
        for (std::int64_t i = 0; i < ceilDiv(mine, perBlock) * item.blocks; ++i)
            item.weights[i] = 0;
        if constexpr (kHasMatrixUnit<Isa>)
            Isa::open();
        for (std::int64_t first = 0; first < mine; first += kTile) {
            packQueries(item, item.firstCell + first, s.q);
            float maxima[kTile];
            for (float& top : maxima)
                top = -__builtin_inff();
            const auto* keys = static_cast<const std::uint32_t*>(item.keys);
            const int units = item.stride * item.headDim / Isa::kStep;
            const int count = static_cast<int>(cells);
            if constexpr (kHasMatrixUnit<Isa>) {
                Isa::scores(s.q, keys, units, count, s.scores);
                Tile::raiseMaxima(s.scores, 0, count, maxima);
            } else {
                Tile::scoreTile(s.q, keys, units, 0, count, s.scores, maxima);
            }
            float inverse[kTile];
            sumBlocks(item, cells, s, maxima, inverse);
            const std::int64_t lanes = mine - first < kTile ? mine - first : kTile;
            for (std::int64_t lane = 0; lane < lanes;) {
                const std::int64_t block = (first + lane) / perBlock;
                const std::int64_t blockEnd = (block + 1) * perBlock - first;
                const std::int64_t end = blockEnd < lanes ? blockEnd : lanes;
                addBlock(s.sums, inverse, lane, end, item.blocks, item.weights + block * item.blocks);
                lane = end;
            }
        }
        if constexpr (kHasMatrixUnit<Isa>)
            Isa::close();
    }

private:
    /// Cell m's queries in reverse, token m S + S - 1 - i at channels [i D, (i + 1) D).
    static void packQueries(const BlockScoreItem& item, std::int64_t firstCell, std::uint32_t* packed) {
        const int units = item.headDim / Isa::kStep;
        const std::int64_t bytes = item.halfStorage ? 2 : 4;
        for (int i = 0; i < item.stride; ++i) {
            const std::int64_t token = firstCell * item.stride + item.stride - 1 - i;
            const std::int64_t rows = item.tokens <= token ? 0 : ceilDiv(item.tokens - token, item.stride);
            const auto* src = static_cast<const unsigned char*>(item.q) + token * item.qStride * bytes;
            Tile::packLanes(src, item.stride * item.qStride, item.halfStorage,
                            static_cast<int>(rows < kTile ? rows : kTile), item.headDim,
                            packed + static_cast<std::ptrdiff_t>(i) * units * kTile);
        }
    }

    /// Exponentials added up by block of keys, and one over their sum.
    static void sumBlocks(const BlockScoreItem& item, std::int64_t cells, const Scratch& s,
                          const float* maxima, float* inverse) {
        const Vec factor = Isa::broadcast(item.scale * 1.44269504088896F); // exp(x) = exp2(x log2 e)
        const std::int64_t perBlock = kBlockTokens / item.stride;
        for (int j = 0; j < kVectors; ++j) {
            const Vec top = Isa::load(maxima + j * kLanes);
            Vec all = Isa::zero();
            for (std::int64_t block = 0; block < item.blocks; ++block) {
                const std::int64_t begin = block * perBlock;
                const std::int64_t end = begin + perBlock < cells ? begin + perBlock : cells;
                Vec sum = Isa::zero();
                for (std::int64_t cell = begin; cell < end; ++cell) {
                    const Vec score = Isa::load(s.scores + cell * kTile + j * kLanes);
                    sum = Isa::add(sum, Isa::exp2(Isa::mul(Isa::sub(score, top), factor)));
                }
                Isa::store(s.sums + block * kTile + j * kLanes, sum);
                all = Isa::add(all, sum);
            }
            Isa::store(inverse + j * kLanes, all);
        }
        for (int i = 0; i < kTile; ++i)
            inverse[i] = 1.0F / inverse[i];
    }

    static void addBlock(const float* sums, const float* inverse, std::int64_t begin, std::int64_t end,
                         std::int64_t blocks, float* weights) {
        for (std::int64_t block = 0; block < blocks; ++block) {
            float share = 0;
            for (std::int64_t lane = begin; lane < end; ++lane)
                share += sums[block * kTile + lane] * inverse[lane];
            weights[block] += share;
        }
    }
};

template <class Isa>
constexpr BlockScoreKernels makeScoreKernels() {
    using Tile = BlockScoreTile<Isa>;
    return {&Tile::scratchBytes, &Tile::runItem};
}

} // namespace canopy::accel::kernels
