#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "accel/models/wan/vae.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

/// From a diffusers config.json.
VaeConfig vaeConfig(const Value& config);
/// Strictly loaded; a report of differences fails the test.
std::unique_ptr<accel::WanVae> loadVae(const VaeConfig& config, const std::filesystem::path& weights,
                                       at::ScalarType dtype = at::kFloat, at::Device device = at::kCPU);

/// Decodes normalised latents [16, F, h, w]: float32 [3, T, H, W] before the clamp.
at::Tensor decodePreClamp(const accel::WanVae& vae, const at::Tensor& latents,
                          std::optional<accel::VaeTiling> tiling = {});
/// The same with the case's autoencoder in float32.
at::Tensor decodePreClamp(const ParityCase& vae, const at::Tensor& latents);

} // namespace canopy::test
