#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/job/ask_request.h"

namespace canopy::media {

/// Frames of a video spread over its length, as a vision tower takes them.
struct SampledFrames {
    int size = 0;                         ///< pixels, square
    std::vector<std::uint8_t> rgb;        ///< [T, size, size, 3]
    std::vector<std::int64_t> frameIndex; ///< of each in the video, from 0
    std::vector<double> frameSeconds;     ///< exact timestamps, from the first frame
    std::int64_t videoFrames = 0;         ///< decoded in all
    double videoSeconds = 0;
    std::vector<std::string> notes; ///< what was not used and why, as sentences; empty = everything was
};

/// `count` frames of the video: by index floor(linspace(0, F - 1, count)), or by time; without `forceFrames`
/// one a second where that is fewer (token-forest.md 1.2). Each is turned upright and resized straight to
/// size x size (pil_resize.h) as it is read, so that memory does not grow with the video. No file but this
/// one and no connection is opened. Ends early with Cancelled.
Result<SampledFrames> readSampledFrames(const std::filesystem::path& video, int count, FrameSampling sampling,
                                        int size, bool forceFrames, std::stop_token stop = {});

/// A safetensors file with "frames", uint8 [T, size, size, 3]; written whole or not at all.
Result<void> writeFramesFile(const SampledFrames& frames, const std::filesystem::path& file);

} // namespace canopy::media
