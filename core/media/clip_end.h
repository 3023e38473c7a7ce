#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <vector>

#include "core/base/result.h"

namespace canopy::media {

/// The end of a video at another frame rate, for a clip that goes on from it.
struct ClipEnd {
    int frames = 0;                ///< pictures
    std::vector<std::uint8_t> rgb; ///< [frames, height, width, 3]
};

/// How many pictures `fps` a second the video has from its start to its last frame, that one included.
Result<int> framesAtRate(const std::filesystem::path& video, int fps);

/// The last `frames` pictures at `fps` a second, the very last one at the end; each is the frame shown at
/// that time, so that things move as fast as in the video. Cropped to the shape of width x height and scaled
/// (resizedToFill). Fewer in the video is ErrorCode::InvalidArgument. `stop` ends it within a frame with
/// ErrorCode::Cancelled.
Result<ClipEnd> readClipEnd(const std::filesystem::path& video, int frames, int fps, int width, int height,
                            std::stop_token stop = {});

/// The form in which they go to the worker: a safetensors file with "frames" uint8 [n, H, W, 3].
Result<void> writeClipEnd(const ClipEnd& end, int width, int height, const std::filesystem::path& file);

} // namespace canopy::media
