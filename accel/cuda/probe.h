#pragma once

#include <cstdint>

namespace canopy::accel::cuda {

/// KernelTable::probe.
int probe(std::int32_t* out, std::int32_t count, std::int32_t value, void* stream);

} // namespace canopy::accel::cuda
