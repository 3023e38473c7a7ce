#include "accel/cuda/block_score.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "accel/cuda/block_select.cuh"
#include "accel/cuda/hopper/antidiagonal_kernel.cuh"
#include "accel/cuda/hopper/tensor_map.h"

namespace canopy::accel::cuda {

namespace {

using hopper::ScoreArgs;

template <int S>
cudaError_t launchScores(const ScoreArgs& args, int multiprocessors, cudaStream_t stream) {
    constexpr auto kBytes = static_cast<int>(hopper::ScoreLayout::kBytes);
    const auto kernel = hopper::scoreKernel<S>;
    if (const cudaError_t status =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
        status != cudaSuccess)
        return status;
    cudaLaunchAttribute pairs{};
    pairs.id = cudaLaunchAttributeClusterDimension;
    pairs.val.clusterDim = {2, 1, 1};
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(2 * std::min<int>(multiprocessors / 2, args.items)));
    config.blockDim = dim3(hopper::kScoreThreads);
    config.dynamicSmemBytes = kBytes;
    config.stream = stream;
    config.attrs = &pairs;
    config.numAttrs = 1;
    return cudaLaunchKernelEx(&config, kernel, args);
}

cudaError_t launchSelect(const SelectArgs& args, std::int32_t entries, cudaStream_t stream) {
    const auto grid = static_cast<unsigned>(entries);
    if (args.blocks <= 256)
        selectKernel<8><<<grid, kSelectThreads, 0, stream>>>(args);
    else if (args.blocks <= 640)
        selectKernel<20><<<grid, kSelectThreads, 0, stream>>>(args);
    else
        selectKernel<32><<<grid, kSelectThreads, 0, stream>>>(args);
    return cudaGetLastError();
}

} // namespace

int blockScore(const BlockScoreParams& params, void* streamHandle) {
    const auto stream = static_cast<cudaStream_t>(streamHandle);
    int device = 0, multiprocessors = 0;
    cudaError_t status = cudaGetDevice(&device);
    if (status == cudaSuccess)
        status = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);

    ScoreArgs scores{};
    if (status == cudaSuccess)
        status = hopper::makeCellMap(scores.q, params.q, params.qStrides, params.batch, params.heads,
                                     params.tokens, params.stride, params.headDim);
    if (status == cudaSuccess)
        status = hopper::makeCellMap(scores.k, params.k, params.kStrides, params.batch, params.heads,
                                     params.tokens, params.stride, params.headDim);
    if (status != cudaSuccess)
        return status;

    constexpr float kLog2E = 1.44269504088896341F;
    const std::int32_t rows = params.batch * params.heads;
    scores.heads = params.heads;
    scores.cells = params.tokens / params.stride;
    scores.stride = params.stride;
    scores.headDim = params.headDim;
    scores.tiles = static_cast<std::int32_t>(scoreTiles(params.tokens, params.stride));
    scores.blockSlots = scores.tiles * (kScoreTileCells * params.stride / kScoreBlock);
    constexpr std::int32_t kPairCells = 2 * hopper::kScoreRows;
    scores.rowPairs = (scores.cells + kPairCells - 1) / kPairCells;
    scores.items = rows * scores.rowPairs * scores.tiles;
    scores.scaleLog2 = params.scale / static_cast<float>(params.stride) * kLog2E;
    scores.sums = static_cast<float*>(params.workspace);
    scores.wanted = params.wanted;
    scores.maxima = scores.sums + std::int64_t{rows} * scores.cells * scores.blockSlots;
    switch (params.stride) {
    case 8:
        status = launchScores<8>(scores, multiprocessors, stream);
        break;
    case 16:
        status = launchScores<16>(scores, multiprocessors, stream);
        break;
    default:
        return cudaErrorInvalidValue;
    }
    if (status != cudaSuccess)
        return status;

    SelectArgs select{};
    select.sums = scores.sums;
    select.maxima = scores.maxima;
    select.tau = params.tau;
    select.weights = params.weights;
    select.starts = params.starts;
    select.counts = params.counts;
    select.ids = params.ids;
    select.wanted = params.wanted;
    select.heads = params.heads;
    select.cells = scores.cells;
    select.blocks = (params.tokens + kScoreBlock - 1) / kScoreBlock;
    select.tiles = scores.tiles;
    select.blockSlots = scores.blockSlots;
    select.cellsPerBlock = kScoreBlock / params.stride;
    select.keptBlocks = params.keptBlocks;
    select.listRoom = static_cast<std::int32_t>(
        listRoom(select.blocks, params.keepsFirst, params.keepsDiagonal, params.keptBlocks));
    select.keepsFirst = params.keepsFirst;
    select.keepsDiagonal = params.keepsDiagonal;
    return launchSelect(select, rows * select.blocks, stream);
}

} // namespace canopy::accel::cuda
