#pragma once

#include <string>

namespace canopy::media {

/// "FFmpeg 5.1.9, GPL version 2 or later", for Help and `canopy-cli --version`.
std::string mediaLibraryText();

} // namespace canopy::media
