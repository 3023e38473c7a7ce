#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace canopy::accel {

/// The sampled frames of a video, uint8 [T, size, size, 3] on the CPU, from the safetensors file that the
/// client wrote ("frames"). Throws JobError when the file does not fit.
at::Tensor readFrames(const std::string& path, int size);

/// XXH64 of the bytes of a contiguous CPU tensor.
std::uint64_t contentHash(const at::Tensor& tensor);

} // namespace canopy::accel
