#pragma once

#include <cstdint>

#include "accel/cuda/block_score.h"

namespace canopy::accel::cuda {

struct SelectArgs {
    const float* sums;   ///< [B H, cells, blockSlots]
    const float* maxima; ///< [B H, cells, tiles], in units of log2
    const float* tau;    ///< [H]
    float* weights;      ///< [B H, blocks, blocks] or null
    std::uint32_t* starts;
    std::int32_t* counts;
    std::uint16_t* ids;
    std::uint32_t* cursor; ///< numbers handed out so far; 0 at the start
    std::int32_t heads, cells, blocks, tiles, blockSlots;
    std::int32_t cellsPerBlock; ///< 128 / S
    bool keepsFirst, keepsDiagonal;
};

constexpr int kSelectThreads = 128;

/// One block per (batch, head, query block): normalises the rows of the estimate, adds them up and writes the
/// list. `PerLane` numbers of a row lie in each lane: 32 PerLane >= blocks.
template <int PerLane>
__global__ void __launch_bounds__(kSelectThreads) selectKernel(SelectArgs args) {
    constexpr int kWarps = kSelectThreads / 32, kMost = 32 * PerLane;
    __shared__ float parts[kWarps][kMost];
    __shared__ float weights[kMost];
    __shared__ std::int32_t kept[kWarps];
    __shared__ std::uint32_t start;
    const std::int32_t block = static_cast<std::int32_t>(blockIdx.x) % args.blocks;
    const std::int32_t row = static_cast<std::int32_t>(blockIdx.x) / args.blocks;
    const std::int32_t thread = static_cast<std::int32_t>(threadIdx.x), lane = thread % 32,
                       warp = thread / 32;
    const std::int32_t slotsPerTile = args.blockSlots / args.tiles;

    float total[PerLane] = {};
    const std::int32_t firstCell = block * args.cellsPerBlock;
    const std::int32_t endCell = min(firstCell + args.cellsPerBlock, args.cells);
    for (std::int32_t cell = firstCell + warp; cell < endCell; cell += kWarps) {
        const std::int64_t at = std::int64_t{row} * args.cells + cell;
        const float* maxima = args.maxima + at * args.tiles;
        float highest = -INFINITY;
        for (std::int32_t tile = lane; tile < args.tiles; tile += 32)
            highest = fmaxf(highest, maxima[tile]);
        for (int step = 16; step > 0; step /= 2)
            highest = fmaxf(highest, __shfl_xor_sync(0xFFFFFFFFU, highest, step));
        float value[PerLane];
        float sum = 0.0F;
#pragma unroll
        for (int i = 0; i < PerLane; ++i) {
            const std::int32_t j = i * 32 + lane;
            value[i] = j < args.blocks
                           ? args.sums[at * args.blockSlots + j] * exp2f(maxima[j / slotsPerTile] - highest)
                           : 0.0F;
            sum += value[i];
        }
        for (int step = 16; step > 0; step /= 2)
            sum += __shfl_xor_sync(0xFFFFFFFFU, sum, step);
#pragma unroll
        for (int i = 0; i < PerLane; ++i)
            total[i] += value[i] / sum;
    }
#pragma unroll
    for (int i = 0; i < PerLane; ++i)
        parts[warp][i * 32 + lane] = total[i];
    __syncthreads();
    for (std::int32_t j = thread; j < kMost; j += kSelectThreads) {
        float weight = 0.0F;
        for (int w = 0; w < kWarps; ++w)
            weight += parts[w][j];
        weights[j] = weight;
        if (args.weights && j < args.blocks)
            args.weights[std::int64_t{blockIdx.x} * args.blocks + j] = weight;
    }
    __syncthreads();

    // Every thread adds up what ranks before its blocks, in the order of their numbers, and everything.
    constexpr int kOwn = (kMost + kSelectThreads - 1) / kSelectThreads;
    float own[kOwn], better[kOwn] = {};
    float all = 0.0F;
#pragma unroll
    for (int i = 0; i < kOwn; ++i)
        own[i] = i * kSelectThreads + thread < args.blocks ? weights[i * kSelectThreads + thread] : 0.0F;
    for (std::int32_t other = 0; other < args.blocks; ++other) {
        const float weight = weights[other];
        all += weight;
#pragma unroll
        for (int i = 0; i < kOwn; ++i) {
            const bool before = weight > own[i] || (weight == own[i] && other < i * kSelectThreads + thread);
            better[i] += before ? weight : 0.0F;
        }
    }
    const float tau = args.tau[row % args.heads];
    unsigned chosen = 0;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
        const std::int32_t j = i * kSelectThreads + thread;
        const bool keep = better[i] < tau * all || tau >= 1.0F || (args.keepsFirst && j == 0) ||
                          (args.keepsDiagonal && j == block);
        chosen |= (keep && j < args.blocks ? 1U : 0U) << i;
    }

    // Rising order: all threads' blocks of one round lie before those of the next.
    std::int32_t place[kOwn];
    std::int32_t count = 0;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
        const unsigned ballot = __ballot_sync(0xFFFFFFFFU, (chosen >> i & 1U) != 0);
        __syncthreads();
        if (lane == 0)
            kept[warp] = __popc(ballot);
        __syncthreads();
        std::int32_t earlier = 0, round = 0;
        for (int w = 0; w < kWarps; ++w) {
            earlier += w < warp ? kept[w] : 0;
            round += kept[w];
        }
        place[i] = count + earlier + __popc(ballot & ((1U << lane) - 1U));
        count += round;
    }
    if (thread == 0) {
        start = atomicAdd(args.cursor, static_cast<std::uint32_t>(count));
        args.starts[blockIdx.x] = start;
        args.counts[blockIdx.x] = count;
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kOwn; ++i)
        if ((chosen >> i & 1U) != 0)
            args.ids[start + static_cast<std::uint32_t>(place[i])] =
                static_cast<std::uint16_t>(i * kSelectThreads + thread);
}

} // namespace canopy::accel::cuda
