#include "accel/cuda/hopper/tensor_map.h"

#include <cuda_runtime_api.h>

#include "accel/cuda/hopper/kernel_args.cuh"

namespace canopy::accel::cuda::hopper {

namespace {

using EncodeTiled = decltype(&cuTensorMapEncodeTiled);

cudaError_t findEncoder(EncodeTiled& encode) {
    static void* found = nullptr; // the same for every thread, so that a race writes one value twice
    if (!found) {
        constexpr unsigned kSince = 12000;
        cudaDriverEntryPointQueryResult answer{};
        const cudaError_t status = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, kSince,
                                                                    cudaEnableDefault, &answer);
        if (status != cudaSuccess)
            return status;
        if (answer != cudaDriverEntryPointSuccess)
            return cudaErrorNotSupported;
    }
    encode = reinterpret_cast<EncodeTiled>(found);
    return cudaSuccess;
}

} // namespace

cudaError_t makeTensorMap(CUtensorMap& map, const void* data, const TensorStrides& strides,
                          std::int32_t batch, std::int32_t heads, std::int32_t tokens, std::int32_t headDim) {
    EncodeTiled encode = nullptr;
    if (const cudaError_t status = findEncoder(encode); status != cudaSuccess)
        return status;
    constexpr cuuint32_t kRank = 4;
    constexpr std::int64_t kElementBytes = 2;
    // The stride of a dimension of size 1 is never used, and a caller's may be anything.
    const auto bytes = [headDim](std::int64_t stride, std::int32_t size) {
        return static_cast<cuuint64_t>((size > 1 ? stride : headDim) * kElementBytes);
    };
    const cuuint64_t sizes[kRank] = {static_cast<cuuint64_t>(headDim), static_cast<cuuint64_t>(tokens),
                                     static_cast<cuuint64_t>(heads), static_cast<cuuint64_t>(batch)};
    const cuuint64_t distances[kRank - 1] = {bytes(strides.token, tokens), bytes(strides.head, heads),
                                             bytes(strides.batch, batch)};
    const cuuint32_t box[kRank] = {kBoxColumns, kBoxRows, 1, 1};
    const cuuint32_t everyElement[kRank] = {1, 1, 1, 1};
    const CUresult result =
        encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, kRank, const_cast<void*>(data), sizes, distances, box,
               everyElement, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
               CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

} // namespace canopy::accel::cuda::hopper
