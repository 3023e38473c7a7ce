#include <cuda_runtime_api.h>

#include <algorithm>

#include "accel/cuda/ampere/attention_kernel.cuh"
#include "accel/cuda/block_attention.h"
#include "accel/cuda/tile_order.h"

namespace canopy::accel::cuda {

namespace {

template <int D>
cudaError_t launch(const ampere::MmaArgs& args, std::int32_t items, cudaStream_t stream) {
    constexpr int kBytes = ampere::MmaLayout<D>::kBytes;
    const auto kernel = ampere::mmaKernel<D>;
    if (const cudaError_t status =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
        status != cudaSuccess)
        return status;
    kernel<<<static_cast<unsigned>(items), ampere::kThreads, kBytes, stream>>>(args);
    return cudaGetLastError();
}

} // namespace

int blockAttentionMma(const BlockAttentionParams& params, void* streamHandle) {
    const auto stream = static_cast<cudaStream_t>(streamHandle);
    constexpr float kLog2E = 1.44269504088896341F;
    ampere::MmaArgs args{};
    args.q = static_cast<const std::uint16_t*>(params.q);
    args.k = static_cast<const std::uint16_t*>(params.k);
    args.v = static_cast<const std::uint16_t*>(params.v);
    args.out = static_cast<std::uint16_t*>(params.out);
    args.logSumExp = params.logSumExp;
    args.qStrides = params.qStrides;
    args.kStrides = params.kStrides;
    args.vStrides = params.vStrides;
    args.outStrides = params.outStrides;
    args.keys = params.keys;
    args.tiles = params.tiles;
    args.tileCount = params.tileCount;
    args.heads = params.heads;
    args.headsPerKeyHead = params.heads / params.keyHeads;
    args.queryTokens = params.queryTokens;
    args.keyTokens = params.keyTokens;
    args.scaleLog2 = params.scale * kLog2E;
    if (params.keys.kind != KeyListKind::All && params.keys.kind != KeyListKind::Causal) {
        auto* order = static_cast<std::int32_t*>(params.workspace);
        args.order = order;
        if (const cudaError_t status =
                orderTiles(order, params.keys, params.batch, params.heads, params.tileCount, 1, stream);
            status != cudaSuccess)
            return status;
    }
    const std::int32_t items = params.batch * params.heads * params.tileCount;
    switch (params.headDim) {
    case 64:
        return launch<64>(args, items, stream);
    case 128:
        return launch<128>(args, items, stream);
    default:
        return cudaErrorInvalidValue;
    }
}

} // namespace canopy::accel::cuda
