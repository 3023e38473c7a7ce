#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/base/result.h"

namespace canopy::cli {

struct RgbImage {
    int width = 0;
    int height = 0;
    std::vector<std::uint8_t> rgb;
};

/// `*.png` and `*.ppm` of a folder in the order of their names; none is an error.
Result<std::vector<std::filesystem::path>> frameFiles(const std::filesystem::path& folder);
/// PPM (P6, 8 bit) always, PNG in a build with media.
Result<RgbImage> readFrameFile(const std::filesystem::path& file);

} // namespace canopy::cli
