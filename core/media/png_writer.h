#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/base/result.h"
#include "core/media/frame.h"

namespace canopy::media {

/// Lossless 8-bit RGB PNG.
Result<std::vector<std::uint8_t>> encodePng(const Frame& frame);

/// `<folder>/frame-00007.png`, written as a whole or not at all; the folder is made.
Result<void> writeFramePng(const std::filesystem::path& folder, int index, const Frame& frame);

} // namespace canopy::media
