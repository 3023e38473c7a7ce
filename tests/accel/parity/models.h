#pragma once

#include <filesystem>
#include <memory>

#include "accel/models/umt5/encoder.h"
#include "accel/models/wan/dit.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

/// Configurations as the product reads them from the case's config.json.
DitConfig ditConfig(const ParityCase& reference);
/// Of a SkyReels-V2 case that exists in the original key layout only.
DitConfig originalDitConfig(const ParityCase& reference);
Umt5Config umt5Config(const ParityCase& reference);

/// Strictly loaded float32 models; a report of differences fails the test.
std::unique_ptr<accel::WanDit> loadDit(const DitConfig& config, const std::filesystem::path& weights);
std::unique_ptr<accel::Umt5Encoder> loadUmt5(const Umt5Config& config, const std::filesystem::path& weights);

} // namespace canopy::test
