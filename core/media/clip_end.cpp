#include "core/media/clip_end.h"

#include <span>
#include <string>
#include <utility>

#include "core/base/files.h"
#include "core/formats/safetensors.h"
#include "core/media/frame.h"
#include "core/media/video_reader.h"

namespace canopy::media {

namespace {

constexpr double kNanos = 1e9;
/// Time stamps are rounded by their container, to milliseconds at worst.
constexpr double kRounding = 1e6;

ReaderLimits limitsFor(std::stop_token stop) {
    ReaderLimits limits;
    limits.decodeThreads = 1; // the same frames every time, also of a damaged file
    limits.stop = std::move(stop);
    return limits;
}

int countAtRate(const VideoReader& reader, int fps) {
    const auto last = static_cast<double>(reader.ptsNanos(reader.info().frames - 1) - reader.ptsNanos(0));
    return 1 + static_cast<int>((last + kRounding) * fps / kNanos);
}

} // namespace

Result<int> framesAtRate(const std::filesystem::path& video, int fps) {
    const auto reader = VideoReader::open(video, limitsFor({}));
    if (!reader)
        return reader.error();
    return countAtRate(**reader, fps);
}

Result<ClipEnd> readClipEnd(const std::filesystem::path& video, int frames, int fps, int width, int height,
                            std::stop_token stop) {
    const auto opened = VideoReader::open(video, limitsFor(stop));
    if (!opened)
        return opened.error();
    VideoReader& reader = **opened;
    if (const int most = countAtRate(reader, fps); most < frames)
        return makeError(ErrorCode::InvalidArgument, "The video has " + std::to_string(most) +
                                                         " pictures at " + std::to_string(fps) +
                                                         " a second and " + std::to_string(frames) +
                                                         " were to be taken: " + video.string());
    const auto last = static_cast<double>(reader.ptsNanos(reader.info().frames - 1));
    ClipEnd end;
    end.frames = frames;
    int shown = -1;
    Frame picture;
    for (int i = 0; i < frames; ++i) {
        const double at = last - (frames - 1 - i) * kNanos / fps;
        const int index = reader.frameAt(static_cast<std::int64_t>(at + kRounding));
        if (index != shown) {
            auto frame = reader.frame(index);
            if (!frame)
                return frame.error();
            picture = resizedToFill(*frame, width, height);
            shown = index;
        }
        end.rgb.insert(end.rgb.end(), picture.rgb.begin(), picture.rgb.end());
    }
    return end;
}

Result<void> writeClipEnd(const ClipEnd& end, int width, int height, const std::filesystem::path& file) {
    const auto bytes =
        writeSafetensors({{"frames",
                           DType::U8,
                           {static_cast<std::uint64_t>(end.frames), static_cast<std::uint64_t>(height),
                            static_cast<std::uint64_t>(width), 3},
                           end.rgb}});
    return writeFileAtomically(file, std::span<const std::uint8_t>(bytes));
}

} // namespace canopy::media
