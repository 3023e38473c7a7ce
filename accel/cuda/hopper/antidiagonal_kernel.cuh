#pragma once

#include <cuda.h>

#include <cstdint>

#include "accel/cuda/block_score.h"
#include "accel/cuda/hopper/shared_layout.cuh"
#include "accel/cuda/hopper/wgmma.cuh"
#include "accel/cuda/softmax.cuh"

// R of block_score.h is a matrix product over S D channels: cells by cells, their tokens side by side, those
// of the queries in reverse. One tile is 128 query cells x kScoreTileCells key cells; the product walks it in
// chunks of 64 channels, which lie in one token of every cell, so that TMA fetches them with a stride of S
// tokens and nothing is rearranged in memory. Scores never leave the registers: each row's exponentials are
// summed per key block there.
//
// Two blocks form a cluster on neighbouring query cells of one head. Each fetches half of the key cells for
// both.
namespace canopy::accel::cuda::hopper {

constexpr int kScoreRows = 128; ///< query cells of a block's tile
constexpr int kScoreThreads = 384;
constexpr int kScoreSlots = 4;

struct ScoreArgs {
    CUtensorMap q, k;           ///< [B, H, cells, S, D], boxes of 128 cells x 1 token x 64 channels
    float* sums;                ///< [B H, cells, blockSlots]
    float* maxima;              ///< [B H, cells, tiles], in units of log2
    const std::uint8_t* wanted; ///< [B H] or null; heads of 0 are passed over, by all roles alike
    std::int32_t heads, cells, stride, headDim;
    std::int32_t tiles, blockSlots; ///< key tiles; key blocks rounded up to whole tiles
    std::int32_t rowPairs;          ///< pairs of query tiles per head, one to a cluster
    std::int32_t items;             ///< B H rowPairs tiles
    float scaleLog2;                ///< scale / S * log2(e)
};

struct ScoreLayout {
    static constexpr std::uint32_t kRowBytes = 128; // 64 channels
    static constexpr std::uint32_t kQueryBytes = kScoreRows * kRowBytes;
    static constexpr std::uint32_t kKeyBytes = kScoreTileCells * kRowBytes;
    static constexpr std::uint32_t kSlotBytes = kQueryBytes + kKeyBytes;
    static constexpr std::uint32_t kControl = kScoreSlots * kSlotBytes;
    struct Control {
        std::uint64_t full[kScoreSlots], empty[kScoreSlots];
    };
    static constexpr std::uint32_t kBytes = kControl + sizeof(Control) + 1024;
};

/// Item `index`: key tile fastest, so that clusters at work share queries and keys of one head.
struct ScoreItem {
    std::int32_t row, head, batch; ///< row: (b * H + h)
    std::int32_t firstQuery, firstKey;
};

__device__ __forceinline__ ScoreItem scoreItem(const ScoreArgs& args, std::int32_t index,
                                               std::uint32_t rank) {
    const std::int32_t row = index / args.tiles / args.rowPairs;
    const std::int32_t pair = index / args.tiles % args.rowPairs;
    return {row, row % args.heads, row / args.heads,
            (pair * 2 + static_cast<std::int32_t>(rank)) * kScoreRows, index % args.tiles * kScoreTileCells};
}

__device__ __forceinline__ void fetchScores(const ScoreArgs& args, std::uint32_t base,
                                            ScoreLayout::Control& control, std::uint32_t rank,
                                            std::int32_t clusters, std::int32_t cluster) {
    constexpr std::int32_t kHalf = kScoreTileCells / 2;
    RingPlace<kScoreSlots> place;
    const std::int32_t columnBlocks = args.headDim / kBoxColumns;
    for (std::int32_t index = cluster; index < args.items; index += clusters) {
        const ScoreItem item = scoreItem(args, index, rank);
        if (args.wanted && args.wanted[item.row] == 0)
            continue;
        for (std::int32_t token = 0; token < args.stride; ++token) {
            for (std::int32_t block = 0; block < columnBlocks; ++block) {
                waitBarrier(sharedAddress(&control.empty[place.slot]), place.parity ^ 1);
                const std::uint32_t full = sharedAddress(&control.full[place.slot]);
                const std::uint32_t slot = base + place.slot * ScoreLayout::kSlotBytes;
                arriveExpecting(full, ScoreLayout::kSlotBytes);
                loadCells(slot, args.q, full, block * kBoxColumns, args.stride - 1 - token, item.firstQuery,
                          item.head, item.batch);
                const std::int32_t half = static_cast<std::int32_t>(rank) * kHalf;
                loadCellsToBoth(slot + ScoreLayout::kQueryBytes +
                                    static_cast<std::uint32_t>(half) * ScoreLayout::kRowBytes,
                                args.k, full, block * kBoxColumns, token, item.firstKey + half, item.head,
                                item.batch);
                place.advance();
            }
        }
    }
}

/// Sums of `values` over the four threads of a quad: thread t keeps numbers [t Count / 4, (t + 1) Count / 4).
template <int Count>
__device__ __forceinline__ void sumOverQuad(float (&values)[Count]) {
    const bool upper = (threadIdx.x & 2U) != 0, odd = (threadIdx.x & 1U) != 0;
#pragma unroll
    for (int i = 0; i < Count / 2; ++i) {
        const float kept = upper ? values[i + Count / 2] : values[i];
        const float given = upper ? values[i] : values[i + Count / 2];
        values[i] = kept + __shfl_xor_sync(0xFFFFFFFFU, given, 2);
    }
#pragma unroll
    for (int i = 0; i < Count / 4; ++i) {
        const float kept = odd ? values[i + Count / 4] : values[i];
        const float given = odd ? values[i] : values[i + Count / 4];
        values[i] = kept + __shfl_xor_sync(0xFFFFFFFFU, given, 1);
    }
}

/// One row's half of the accumulator: the maximum, and sums of exponentials per key block of S-token cells.
template <int S>
__device__ __forceinline__ void storeRow(const ScoreArgs& args, const float (&r)[kScoreTileCells / 2],
                                         int half, std::int64_t row, std::int32_t tile, bool exists) {
    constexpr int kBlocks = kScoreTileCells * S / kScoreBlock; // of the tile
    constexpr int kGroups = kScoreTileCells / 8 / kBlocks;     // groups of 8 columns in a block
    float highest = r[2 * half];
#pragma unroll
    for (int i = 0; i < kScoreTileCells / 8; ++i)
        highest = fmaxf(highest, fmaxf(r[4 * i + 2 * half], r[4 * i + 2 * half + 1]));
    highest = fmaxf(highest, __shfl_xor_sync(0xFFFFFFFFU, highest, 1));
    highest = fmaxf(highest, __shfl_xor_sync(0xFFFFFFFFU, highest, 2)) * args.scaleLog2;
    float sums[kBlocks];
#pragma unroll
    for (int block = 0; block < kBlocks; ++block) {
        sums[block] = 0.0F;
#pragma unroll
        for (int i = block * kGroups; i < (block + 1) * kGroups; ++i) {
            sums[block] += exp2Fast(fmaf(r[4 * i + 2 * half], args.scaleLog2, -highest)) +
                           exp2Fast(fmaf(r[4 * i + 2 * half + 1], args.scaleLog2, -highest));
        }
    }
    sumOverQuad(sums);
    if (!exists)
        return;
    const int quarter = static_cast<int>(threadIdx.x % 4);
    float* out = args.sums + row * args.blockSlots + tile * kBlocks + quarter * (kBlocks / 4);
#pragma unroll
    for (int i = 0; i < kBlocks / 4; i += 4)
        *reinterpret_cast<float4*>(out + i) = {sums[i], sums[i + 1], sums[i + 2], sums[i + 3]};
    if (quarter == 0)
        args.maxima[row * args.tiles + tile] = highest;
}

template <int S>
__device__ __forceinline__ void multiplyScores(const ScoreArgs& args, std::uint32_t base,
                                               ScoreLayout::Control& control, std::uint32_t rank, int group,
                                               std::int32_t clusters, std::int32_t cluster) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const auto release = [&](std::uint32_t slot) {
        if (lane < 2)
            arriveAt(sharedAddress(&control.empty[slot]), static_cast<std::uint32_t>(lane));
    };
    RingPlace<kScoreSlots> place;
    const std::int32_t chunks = S * args.headDim / kBoxColumns;
    for (std::int32_t index = cluster; index < args.items; index += clusters) {
        const ScoreItem item = scoreItem(args, index, rank);
        if (args.wanted && args.wanted[item.row] == 0)
            continue;
        float r[kScoreTileCells / 2] = {};
        std::uint32_t previous = 0;
        pin(r);
        for (std::int32_t chunk = 0; chunk < chunks; ++chunk) {
            waitBarrier(sharedAddress(&control.full[place.slot]), place.parity);
            const std::uint32_t slot = base + place.slot * ScoreLayout::kSlotBytes;
            const std::uint64_t q =
                tileDescriptor(slot + static_cast<std::uint32_t>(group) * 64 * ScoreLayout::kRowBytes, 0);
            const std::uint64_t k = tileDescriptor(slot + ScoreLayout::kQueryBytes, 0);
            wgmmaFence();
#pragma unroll
            for (std::uint64_t step = 0; step < kBoxColumns / 16; ++step)
                multiplyShared<true>(r, q + step * 2, k + step * 2);
            wgmmaCommit();
            if (chunk > 0) {
                wgmmaWait<1>();
                release(previous);
            }
            previous = place.slot;
            place.advance();
        }
        wgmmaWait<0>();
        pin(r);
        release(previous);

        if (item.firstKey + kScoreTileCells > args.cells) {
#pragma unroll
            for (int i = 0; i < kScoreTileCells / 2; ++i) {
                const int column = i / 4 * 8 + lane % 4 * 2 + i % 2;
                if (item.firstKey + column >= args.cells)
                    r[i] = -INFINITY;
            }
        }
        const std::int32_t query =
            item.firstQuery + group * 64 + static_cast<std::int32_t>(threadIdx.x % 128) / 32 * 16 + lane / 4;
        const std::int64_t row = std::int64_t{item.row} * args.cells + query;
        const std::int32_t tile = item.firstKey / kScoreTileCells;
        storeRow<S>(args, r, 0, row, tile, query < args.cells);
        storeRow<S>(args, r, 1, row + 8, tile, query + 8 < args.cells);
    }
}

/// Persistent, launched in clusters of two blocks; warpgroup 0 fetches, 1 and 2 multiply 64 query cells each.
template <int S>
__global__ void __launch_bounds__(kScoreThreads, 1) scoreKernel(const __grid_constant__ ScoreArgs args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ std::uint8_t memory[];
    const std::uint32_t base = (sharedAddress(memory) + 1023U) & ~1023U;
    auto& control = *reinterpret_cast<ScoreLayout::Control*>(memory + (base - sharedAddress(memory)) +
                                                             ScoreLayout::kControl);
    if (threadIdx.x == 0) {
        prefetchMap(args.q);
        prefetchMap(args.k);
        for (int i = 0; i < kScoreSlots; ++i) {
            initBarrier(sharedAddress(&control.full[i]), 1);
            initBarrier(sharedAddress(&control.empty[i]), 2 * kConsumerWarps); // of both blocks
        }
        fenceBarrierInit();
    }
    syncCluster();
    const std::uint32_t rank = rankInCluster();
    const int group = __shfl_sync(0xFFFFFFFFU, static_cast<int>(threadIdx.x / 128), 0);
    const auto clusters = static_cast<std::int32_t>(gridDim.x / 2),
               cluster = static_cast<std::int32_t>(blockIdx.x / 2);
    if (group == 0) {
        shrinkRegisters<40>();
        if (threadIdx.x == 0)
            fetchScores(args, base, control, rank, clusters, cluster);
    } else {
        growRegisters<232>();
        multiplyScores<S>(args, base, control, rank, group - 1, clusters, cluster);
    }
    __syncwarp();
    syncCluster(); // a block stays until its partner neither copies into it nor arrives at it
#endif
}

} // namespace canopy::accel::cuda::hopper
