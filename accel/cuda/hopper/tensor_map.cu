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

constexpr std::int64_t kElementBytes = 2;

template <cuuint32_t Rank>
cudaError_t encodeMap(CUtensorMap& map, const void* data, const cuuint64_t (&sizes)[Rank],
                      const cuuint64_t (&distances)[Rank - 1], const cuuint32_t (&box)[Rank]) {
    EncodeTiled encode = nullptr;
    if (const cudaError_t status = findEncoder(encode); status != cudaSuccess)
        return status;
    cuuint32_t everyElement[Rank];
    for (cuuint32_t& step : everyElement)
        step = 1;
    const CUresult result =
        encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, Rank, const_cast<void*>(data), sizes, distances, box,
               everyElement, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
               CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

/// The stride of a dimension of size 1 is never used, and a caller's may be anything.
cuuint64_t distance(std::int64_t stride, std::int32_t size, std::int32_t headDim) {
    return static_cast<cuuint64_t>((size > 1 ? stride : headDim) * kElementBytes);
}

} // namespace

cudaError_t makeTensorMap(CUtensorMap& map, const void* data, const TensorStrides& strides,
                          std::int32_t batch, std::int32_t heads, std::int32_t tokens, std::int32_t headDim) {
    const cuuint64_t sizes[] = {static_cast<cuuint64_t>(headDim), static_cast<cuuint64_t>(tokens),
                                static_cast<cuuint64_t>(heads), static_cast<cuuint64_t>(batch)};
    const cuuint64_t distances[] = {distance(strides.token, tokens, headDim),
                                    distance(strides.head, heads, headDim),
                                    distance(strides.batch, batch, headDim)};
    const cuuint32_t box[] = {kBoxColumns, kBoxRows, 1, 1};
    return encodeMap<4>(map, data, sizes, distances, box);
}

cudaError_t makeCellMap(CUtensorMap& map, const void* data, const TensorStrides& strides, std::int32_t batch,
                        std::int32_t heads, std::int32_t tokens, std::int32_t stride, std::int32_t headDim) {
    constexpr cuuint32_t kBoxCells = 128;
    const std::int32_t cells = tokens / stride;
    const cuuint64_t sizes[] = {static_cast<cuuint64_t>(headDim), static_cast<cuuint64_t>(stride),
                                static_cast<cuuint64_t>(cells), static_cast<cuuint64_t>(heads),
                                static_cast<cuuint64_t>(batch)};
    const cuuint64_t distances[] = {
        distance(strides.token, stride, headDim), distance(strides.token * stride, cells, headDim),
        distance(strides.head, heads, headDim), distance(strides.batch, batch, headDim)};
    const cuuint32_t box[] = {kBoxColumns, 1, kBoxCells, 1, 1};
    return encodeMap<5>(map, data, sizes, distances, box);
}

} // namespace canopy::accel::cuda::hopper
