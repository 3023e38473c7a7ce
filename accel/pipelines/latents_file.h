#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/job/generation_request.h"

namespace canopy::accel {

/// Final latents [16, F, h, w] float32 as a safetensors file with the request in its metadata.
std::vector<std::uint8_t> writeLatents(const at::Tensor& latents, const GenerationRequest& request);

/// Reads latents of exactly this shape. Throws JobError.
at::Tensor readLatents(const std::filesystem::path& path, at::IntArrayRef shape);

/// The client's decoded first image: "image", uint8 [H, W, 3], as float [3, H, W] in -1..1. Throws JobError.
at::Tensor readImagePixels(const std::filesystem::path& path, int width, int height);

/// The client's decoded end of a video: "frames", uint8 [n, H, W, 3], as float [3, n, H, W] in -1..1. Throws
/// JobError.
at::Tensor readVideoPixels(const std::filesystem::path& path, int frames, int width, int height);

} // namespace canopy::accel
