#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "core/base/result.h"
#include "core/media/frame.h"

namespace canopy::media {

/// Bounds on an untrusted file. Exceeding one is an error that names the bound.
struct ReaderLimits {
    int maxWidth = 4096;
    int maxHeight = 2304;
    int maxFrames = 200'000;
    double openSeconds = 30;  ///< deadline for open, including the scan of all packets
    double frameSeconds = 30; ///< deadline for one frame
    int decodeThreads = 2;    ///< with more than one, damaged pictures differ from one reading to the next
    std::stop_token stop;     ///< once asked, whatever is under way ends with ErrorCode::Cancelled
};

struct VideoInfo {
    int width = 0; ///< after rotation
    int height = 0;
    int rotation = 0; ///< degrees clockwise, a multiple of 90, already applied to the frames
    int frames = 0;   ///< counted packets that are shown, not the header's claim
    int fpsNumerator = 0;
    int fpsDenominator = 1;
    double seconds = 0; ///< to the end of the last frame
    bool variableRate = false;
    bool hasAudio = false;
    std::string codec;       ///< "h264"
    std::string pixelFormat; ///< "yuv420p"
    std::string colourSpace; ///< "bt709", "unknown"
    std::string colourRange; ///< "tv", "pc", "unknown"
    std::string colourPrimaries;
    std::string colourTransfer;
    std::string comment; ///< the `comment` tag, at most 1 MiB; untrusted (see clip_metadata.h)
    /// Not empty: why the end of the file cannot be read ("only the first 3.2 s can be read ...").
    std::string damage;
};

/// A video file, read frame-exactly. Only MP4/MOV and Matroska/WebM by content, through our own reads of one
/// open descriptor, so that nothing else is ever opened. Not thread-safe: one home thread (any).
class VideoReader {
public:
    static Result<std::unique_ptr<VideoReader>> open(const std::filesystem::path& file,
                                                     const ReaderLimits& = {});
    ~VideoReader();
    VideoReader(const VideoReader&) = delete;
    VideoReader& operator=(const VideoReader&) = delete;

    const VideoInfo& info() const;
    /// Exact start time of a frame; index in [0, info().frames).
    std::int64_t ptsNanos(int index) const;
    /// The last frame that starts at or before `nanos`; 0 before the first.
    int frameAt(std::int64_t nanos) const;

    /// The next frame in order; none at the end. A frame that cannot be decoded is an error.
    Result<std::optional<Frame>> next();
    /// Random access: seeks to the key frame before and decodes up to `index`. Going on with index + 1 costs
    /// one frame.
    Result<Frame> frame(int index);
    /// Of the frames given so far, how many the decoder had to mend because their data are damaged.
    int mendedFrames() const;

private:
    struct Impl;
    explicit VideoReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace canopy::media
