#pragma once

// Private to core/studio.

#include <cstdint>
#include <span>

#include "core/project/clip_library.h"

namespace canopy {

/// Box-averaged, longer side at most Thumbnail::kMaxSide; `rgb` is one tightly packed picture. Needs no
/// FFmpeg.
Thumbnail makeThumbnail(std::span<const std::uint8_t> rgb, int width, int height);

} // namespace canopy
