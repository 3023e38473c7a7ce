#pragma once

#include <filesystem>

#include "core/base/result.h"
#include "core/media/frame.h"

namespace canopy::media {

/// A PNG, JPEG or WebP still by content, at most 64 MiB and 64 megapixels, turned as its EXIF orientation
/// says; transparency is laid over black.
Result<Frame> readImage(const std::filesystem::path& file);

} // namespace canopy::media
