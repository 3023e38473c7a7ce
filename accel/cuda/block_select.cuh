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
    const std::uint8_t* wanted; ///< [B H] or null; 0 leaves a head as it is
    std::int32_t heads, cells, blocks, tiles, blockSlots;
    std::int32_t cellsPerBlock; ///< 128 / S
    std::int32_t keptBlocks;    ///< 0: by tau
    std::int32_t listRoom;
    bool keepsFirst, keepsDiagonal;
};

constexpr int kSelectThreads = 128;

/// Falls with the weight, which is not negative, and rises with the number: larger keys rank first.
__device__ __forceinline__ std::uint64_t rankKey(float weight, std::int32_t number) {
    return std::uint64_t{__float_as_uint(weight)} << 32 | (0xFFFFFFFFU - static_cast<std::uint32_t>(number));
}
__device__ __forceinline__ float weightOf(std::uint64_t key) {
    return __uint_as_float(static_cast<std::uint32_t>(key >> 32));
}
__device__ __forceinline__ std::uint32_t numberOf(std::uint64_t key) {
    return 0xFFFFFFFFU - static_cast<std::uint32_t>(key);
}

/// Bitonic sort in shared memory, largest first, by all threads.
template <int Count>
__device__ void sortFalling(std::uint64_t* keys) {
    for (int size = 2; size <= Count; size *= 2) {
        for (int step = size / 2; step > 0; step /= 2) {
            for (int i = static_cast<int>(threadIdx.x); i < Count / 2; i += kSelectThreads) {
                const int low = i / step * step * 2 + i % step, high = low + step;
                const std::uint64_t first = keys[low], second = keys[high];
                if ((first < second) == ((low & size) == 0)) {
                    keys[low] = second;
                    keys[high] = first;
                }
            }
            __syncthreads();
        }
    }
}

/// Flags the best `keptBlocks` or, where that is 0, the shortest prefix whose sum reaches tau of all. Weights
/// that are no numbers flag everything, so that they show in the result.
template <int Count>
__device__ void markPrefix(const std::uint64_t* keys, float tau, std::int32_t keptBlocks, std::int32_t blocks,
                           float* partial, bool* flags) {
    constexpr int kRun = Count / kSelectThreads;
    if (keptBlocks > 0) {
        for (int rank = static_cast<int>(threadIdx.x); rank < min(keptBlocks, blocks); rank += kSelectThreads)
            flags[numberOf(keys[rank])] = true;
        return;
    }
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
    float own = 0.0F;
    for (int i = 0; i < kRun; ++i)
        own += weightOf(keys[thread * kRun + i]);
    float sum = own; // of this warp's ranks up to here
    for (int step = 1; step < 32; step *= 2) {
        const float before = __shfl_up_sync(0xFFFFFFFFU, sum, static_cast<unsigned>(step));
        if (lane >= step)
            sum += before;
    }
    if (lane == 31)
        partial[warp] = sum;
    __syncthreads();
    float earlier = 0.0F, all = 0.0F;
    for (int w = 0; w < kSelectThreads / 32; ++w) {
        earlier += w < warp ? partial[w] : 0.0F;
        all += partial[w];
    }
    float before = earlier + sum - own;
    for (int i = 0; i < kRun; ++i) {
        const std::uint64_t key = keys[thread * kRun + i];
        if (thread * kRun + i < blocks && (tau >= 1.0F || !(before >= tau * all)))
            flags[numberOf(key)] = true;
        before += weightOf(key);
    }
}

/// One block per (batch, head, query block): normalises the rows of the estimate, adds them up and writes the
/// list. `PerLane` numbers of a row lie in each lane: 32 PerLane >= blocks.
template <int PerLane>
__global__ void __launch_bounds__(kSelectThreads) selectKernel(SelectArgs args) {
    constexpr int kWarps = kSelectThreads / 32, kMost = 32 * PerLane, kSorted = PerLane <= 8 ? 256 : 1024;
    __shared__ float parts[kWarps][kMost];
    __shared__ std::uint64_t keys[kSorted];
    __shared__ bool chosenFlags[kSorted];
    __shared__ float partial[kWarps];
    __shared__ std::int32_t kept[kWarps];
    const std::int32_t block = static_cast<std::int32_t>(blockIdx.x) % args.blocks;
    const std::int32_t row = static_cast<std::int32_t>(blockIdx.x) / args.blocks;
    const std::int32_t thread = static_cast<std::int32_t>(threadIdx.x), lane = thread % 32,
                       warp = thread / 32;
    if (args.wanted && args.wanted[row] == 0)
        return;
    const int tileShift = __ffs(args.blockSlots / args.tiles) - 1; // of its 16 or 32 blocks

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
                           ? args.sums[at * args.blockSlots + j] * exp2f(maxima[j >> tileShift] - highest)
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
    for (std::int32_t j = thread; j < kSorted; j += kSelectThreads) {
        float weight = 0.0F;
        if (j < args.blocks)
            for (int w = 0; w < kWarps; ++w)
                weight += parts[w][j];
        if (args.weights && j < args.blocks)
            args.weights[std::int64_t{blockIdx.x} * args.blocks + j] = weight;
        keys[j] = j < args.blocks ? rankKey(weight, j) : 0;
        chosenFlags[j] = false;
    }
    __syncthreads();
    sortFalling<kSorted>(keys);
    __syncthreads();
    const float tau = args.keptBlocks > 0 ? 1.0F : args.tau[row % args.heads];
    markPrefix<kSorted>(keys, tau, args.keptBlocks, args.blocks, partial, chosenFlags);
    __syncthreads();
    constexpr int kOwn = (kMost + kSelectThreads - 1) / kSelectThreads;
    unsigned chosen = 0;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
        const std::int32_t j = i * kSelectThreads + thread;
        const bool keep = j < args.blocks && (chosenFlags[j] || (args.keepsFirst && j == 0) ||
                                              (args.keepsDiagonal && j == block));
        chosen |= (keep ? 1U : 0U) << i;
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
    const std::uint32_t start = blockIdx.x * static_cast<std::uint32_t>(args.listRoom);
    if (thread == 0) {
        args.starts[blockIdx.x] = start;
        args.counts[blockIdx.x] = count;
    }
#pragma unroll
    for (int i = 0; i < kOwn; ++i)
        if ((chosen >> i & 1U) != 0)
            args.ids[start + static_cast<std::uint32_t>(place[i])] =
                static_cast<std::uint16_t>(i * kSelectThreads + thread);
}

} // namespace canopy::accel::cuda
