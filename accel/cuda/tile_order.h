#pragma once

#include <driver_types.h>

#include <cstdint>

#include "accel/cuda/block_attention.h"

namespace canopy::accel::cuda {

/// Queues the kernel that writes the order in which tiles are worked on: heads in groups of `groupRows` rows
/// of (batch, head), longest list first within a group. Neighbouring tickets then share keys that fit the L2
/// cache, and the last ones are short. Among equal lengths the order may differ from call to call.
cudaError_t orderTiles(std::int32_t* order, const KeyLists& keys, std::int32_t batch, std::int32_t heads,
                       std::int32_t tileCount, std::int32_t groupRows, cudaStream_t stream);

} // namespace canopy::accel::cuda
