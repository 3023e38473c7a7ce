#include "accel/cuda/tile_order.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "accel/cuda/key_walk.cuh"

namespace canopy::accel::cuda {

namespace {

constexpr int kThreads = 1024;
/// Lengths in stages; longer ones share the last bin.
constexpr int kBins = kThreads;

__device__ std::int32_t stagesOf(const KeyLists& keys, std::int64_t entry) {
    const std::int32_t count = keys.counts[entry];
    if (keys.kind == KeyListKind::Blocks128)
        return count;
    if (keys.kind == KeyListKind::Blocks64)
        return (count + 1) / 2;
    std::int32_t stages = 0;
    for (std::int32_t i = 0; i < count; ++i) {
        const TokenSpan run = keys.spans[keys.starts[entry] + static_cast<std::uint32_t>(i)];
        stages += (run.end - run.begin + kStageRows - 1) / kStageRows;
    }
    return stages;
}

/// Counting sort of one group, one block each.
__global__ void __launch_bounds__(kThreads)
    orderKernel(std::int32_t* order, KeyLists keys, std::int32_t heads, std::int32_t tileCount,
                std::int32_t groupItems, std::int32_t items) {
    __shared__ std::int32_t place[kBins];
    __shared__ std::int32_t warpSum[kThreads / 32];
    const int bin = static_cast<int>(threadIdx.x);
    const std::int32_t first = static_cast<std::int32_t>(blockIdx.x) * groupItems;
    const std::int32_t end = min(first + groupItems, items);
    // Bin 0 holds the longest.
    const auto binOf = [&](std::int32_t item) {
        const std::int64_t entry = entryOf(keys, tileIndex(item, heads, tileCount));
        return kBins - 1 - min(stagesOf(keys, entry), kBins - 1);
    };
    place[bin] = 0;
    __syncthreads();
    for (std::int32_t item = first + bin; item < end; item += kThreads)
        atomicAdd(&place[binOf(item)], 1);
    __syncthreads();

    // Exclusive prefix sum over the bins.
    const std::int32_t own = place[bin];
    std::int32_t sum = own;
    for (int step = 1; step < 32; step *= 2) {
        const std::int32_t before = __shfl_up_sync(0xFFFFFFFFU, sum, static_cast<unsigned>(step));
        if (bin % 32 >= step)
            sum += before;
    }
    if (bin % 32 == 31)
        warpSum[bin / 32] = sum;
    __syncthreads();
    std::int32_t earlier = 0;
    for (int warp = 0; warp < bin / 32; ++warp)
        earlier += warpSum[warp];
    place[bin] = first + earlier + sum - own;
    __syncthreads();

    for (std::int32_t item = first + bin; item < end; item += kThreads)
        order[atomicAdd(&place[binOf(item)], 1)] = item;
}

} // namespace

cudaError_t orderTiles(std::int32_t* order, const KeyLists& keys, std::int32_t batch, std::int32_t heads,
                       std::int32_t tileCount, std::int32_t groupRows, cudaStream_t stream) {
    const std::int32_t rows = batch * heads;
    const std::int32_t groups = (rows + groupRows - 1) / groupRows;
    orderKernel<<<static_cast<unsigned>(groups), kThreads, 0, stream>>>(
        order, keys, heads, tileCount, groupRows * tileCount, rows * tileCount);
    return cudaGetLastError();
}

} // namespace canopy::accel::cuda
