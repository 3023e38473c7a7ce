#include "core/media/media_info.h"

#include "core/media/av_ptr.h"

namespace canopy::media {

std::string mediaLibraryText() {
    return std::string("FFmpeg ") + av_version_info() + ", " + avcodec_license();
}

} // namespace canopy::media
