#include "accel/cuda/block_attention.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "accel/cuda/hopper/attention_kernel.cuh"
#include "accel/cuda/hopper/tensor_map.h"
#include "accel/cuda/tile_order.h"

namespace canopy::accel::cuda {

namespace {

using hopper::KernelArgs;

template <int D>
cudaError_t launch(const KernelArgs& args, int multiprocessors, cudaStream_t stream) {
    constexpr auto kBytes = static_cast<int>(hopper::SharedLayout<D>::kBytes);
    const auto kernel = hopper::attendKernel<D>;
    if (const cudaError_t status =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
        status != cudaSuccess)
        return status;
    const int blocks = std::min<int>(multiprocessors, args.items);
    kernel<<<static_cast<unsigned>(blocks), hopper::kAttentionThreads, kBytes, stream>>>(args);
    return cudaGetLastError();
}

/// Rows of (batch, head) whose keys and values together stay in the L2 cache, at least one.
std::int32_t rowsInCache(const BlockAttentionParams& params, int cacheBytes) {
    constexpr double kUsable = 0.75; // queries and outputs pass through it too
    const double row = 4.0 * params.keyTokens * params.headDim;
    return std::max(1, static_cast<std::int32_t>(kUsable * cacheBytes / std::max(row, 1.0)));
}

} // namespace

int blockAttention(const BlockAttentionParams& params, void* streamHandle) {
    const auto stream = static_cast<cudaStream_t>(streamHandle);
    int device = 0, multiprocessors = 0, cacheBytes = 0;
    cudaError_t status = cudaGetDevice(&device);
    if (status == cudaSuccess)
        status = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
    if (status == cudaSuccess)
        status = cudaDeviceGetAttribute(&cacheBytes, cudaDevAttrL2CacheSize, device);

    KernelArgs args{};
    const auto map = [&](CUtensorMap& target, const void* data, const TensorStrides& strides,
                         std::int32_t heads, std::int32_t tokens) {
        if (status == cudaSuccess)
            status =
                hopper::makeTensorMap(target, data, strides, params.batch, heads, tokens, params.headDim);
    };
    map(args.q, params.q, params.qStrides, params.heads, params.queryTokens);
    map(args.k, params.k, params.kStrides, params.keyHeads, params.keyTokens);
    map(args.v, params.v, params.vStrides, params.keyHeads, params.keyTokens);
    if (status != cudaSuccess)
        return status;

    constexpr float kLog2E = 1.44269504088896341F;
    args.out = params.out;
    args.logSumExp = params.logSumExp;
    args.outStrides = params.outStrides;
    args.keys = params.keys;
    args.tiles = params.tiles;
    args.ticket = static_cast<std::int32_t*>(params.workspace);
    args.tileCount = params.tileCount;
    args.items = params.batch * params.heads * params.tileCount;
    args.heads = params.heads;
    args.headsPerKeyHead = params.heads / params.keyHeads;
    args.queryTokens = params.queryTokens;
    args.keyTokens = params.keyTokens;
    args.scaleLog2 = params.scale * kLog2E;

    status = cudaMemsetAsync(args.ticket, 0, sizeof(std::int32_t), stream);
    const bool hasLists = params.keys.kind != KeyListKind::All && params.keys.kind != KeyListKind::Causal;
    if (status == cudaSuccess && hasLists) {
        constexpr std::size_t kCounterInts = blockAttentionWorkspaceBytes(0, 0, 0) / sizeof(std::int32_t);
        std::int32_t* order = args.ticket + kCounterInts;
        args.order = order;
        status = orderTiles(order, params.keys, params.batch, params.heads, params.tileCount,
                            rowsInCache(params, cacheBytes), stream);
    }
    if (status != cudaSuccess)
        return status;
    switch (params.headDim) {
    case 64:
        return launch<64>(args, multiprocessors, stream);
    case 128:
        return launch<128>(args, multiprocessors, stream);
    default:
        return cudaErrorInvalidValue;
    }
}

} // namespace canopy::accel::cuda
