#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/media/frame.h"

namespace canopy::media {

struct VideoWriterOptions {
    std::filesystem::path file; ///< wanted name, ".mp4"; taken names become "name-2.mp4"
    int width = 0;              ///< even
    int height = 0;             ///< even
    int fps = 0;
    int frames = 0;      ///< asked; finish() fails unless as many were written
    std::string comment; ///< settings as text (clip_metadata.h); read back and compared
    std::string title;   ///< may be empty
    int quality = 15;    ///< x264 crf: smaller is better and larger
    int threads = 0;     ///< 0 = as many as the machine has, at most 8
};

/// Makes an H.264 MP4 that appears under its name only when complete and verified:
/// name.mp4.part (fragmented, keeps what was written when the program dies) -> re-opened and counted ->
/// rewritten with the index in front to name.mp4.tmp -> settings read back -> fsync -> renamed without
/// replacing -> folder synced -> .part deleted. Home thread: the one that encodes.
class VideoWriter {
public:
    static Result<std::unique_ptr<VideoWriter>> create(const VideoWriterOptions& options);
    /// Without finish(): the .part file stays, named in the log, for recovery.
    ~VideoWriter();
    VideoWriter(const VideoWriter&) = delete;
    VideoWriter& operator=(const VideoWriter&) = delete;

    /// Frames in order; ptsNanos is ignored, the times are index / fps.
    Result<void> write(const Frame& frame);
    /// Replaces the settings text until finish(): what is known only at the end (times) belongs in it too.
    void setComment(std::string comment);
    /// The name it got.
    Result<std::filesystem::path> finish();
    /// Deletes everything written; for a cancelled job.
    void discard();
    const std::filesystem::path& partFile() const;

private:
    struct Impl;
    explicit VideoWriter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

/// Rewrites the frames that an interrupted writer left in `part` as a proper MP4 beside it ("name
/// recovered.mp4"). Returns the new file; the .part is deleted after that.
Result<std::filesystem::path> recoverPart(const std::filesystem::path& part);

/// Moves `from` to `wanted` without ever replacing a file: "name-2.ext", "name-3.ext" ... when taken; then
/// syncs the folder. Returns the name it got.
Result<std::filesystem::path> renameWithoutReplacing(const std::filesystem::path& from,
                                                     const std::filesystem::path& wanted);

} // namespace canopy::media
