#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/job/ask_request.h"

namespace canopy::media {

/// Some frames of a video as a vision tower takes them, and where they were in it.
struct SampledFrames {
    int size = 0;                         ///< pixels, square
    std::vector<std::uint8_t> rgb;        ///< [T, size, size, 3]
    std::vector<std::int64_t> frameIndex; ///< T, in the video, from 0; not descending
    std::vector<double> frameSeconds;     ///< T, the frames' own time stamps, from the video's first frame
    double videoSeconds = 0;              ///< to the end of the last frame
    std::int64_t videoFrames = 0;         ///< that can be read
    int videoWidth = 0, videoHeight = 0;  ///< pixels, after rotation
    std::vector<std::string> notes;       ///< sentences: what was not used, or not as it is, and why
};

/// Which frames of a video are taken; one per element, never descending. token-forest.md 1.2.
/// Index: floor(linspace(0, frames - 1, count)) as numpy computes it; a video of fewer frames gives some
/// twice. Time: the frames shown at `count` evenly spread times from the first to the last frame's. Without
/// `forceFrames`, one frame a second where that is at most `count`: every round(fps)-th by index, or those
/// shown at whole seconds by time. `frameSeconds` holds the ascending time of every frame, at least one;
/// `count` >= 1.
std::vector<int> sampleIndices(const std::vector<double>& frameSeconds, double framesPerSecond, int count,
                               FrameSampling sampling, bool forceFrames);

/// Opens a video of up to 8192 x 4608 pixels, reads the sampled frames and scales each to size x size as soon
/// as it is decoded (pilBicubic): memory does not grow with the video. A frame that cannot be decoded is
/// replaced by the readable one before it, which a note says. `stop` ends it within a frame with
/// ErrorCode::Cancelled. Opens no other file and no connection. `count` 1 to 4096, `size` 1 to 4096.
Result<SampledFrames> readSampledFrames(const std::filesystem::path& video, int count, FrameSampling sampling,
                                        int size, bool forceFrames, std::stop_token stop = {});

/// The form in which frames go to the worker: a safetensors file with "frames" uint8 [T, size, size, 3].
Result<void> writeFramesFile(const SampledFrames& frames, const std::filesystem::path& file);

} // namespace canopy::media
