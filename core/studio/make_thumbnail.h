#pragma once

// Private to core/studio.

#include <cstdint>
#include <span>

#include "core/project/clip_library.h"

namespace canopy {

/// Each pixel the mean of factor x factor ones; `rgb` is one tightly packed picture. Needs no FFmpeg.
Thumbnail shrunk(std::span<const std::uint8_t> rgb, int width, int height, int factor);
/// The same with the smallest factor that makes the longer side at most Thumbnail::kMaxSide.
Thumbnail makeThumbnail(std::span<const std::uint8_t> rgb, int width, int height);

} // namespace canopy
