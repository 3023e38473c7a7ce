#pragma once

#include <cuda.h>
#include <driver_types.h>

#include <cstdint>

#include "accel/cuda/block_attention.h"

namespace canopy::accel::cuda::hopper {

/// Map of a bfloat16 tensor [batch, heads, tokens, D], D innermost, for swizzled boxes of kBoxRows tokens x
/// kBoxColumns columns. The driver's encoder is asked for by name, so that nothing links libcuda.
cudaError_t makeTensorMap(CUtensorMap& map, const void* data, const TensorStrides& strides,
                          std::int32_t batch, std::int32_t heads, std::int32_t tokens, std::int32_t headDim);

/// Map of the same tensor as cells of `stride` tokens, [batch, heads, tokens / stride, stride, D], for boxes
/// of 128 cells x 1 token x kBoxColumns columns.
cudaError_t makeCellMap(CUtensorMap& map, const void* data, const TensorStrides& strides, std::int32_t batch,
                        std::int32_t heads, std::int32_t tokens, std::int32_t stride, std::int32_t headDim);

} // namespace canopy::accel::cuda::hopper
