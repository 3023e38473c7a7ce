#include "core/studio/given_video.h"

#include "core/job/chunk_layout.h"

#if CANOPY_HAS_MEDIA
#include "core/media/clip_end.h"
#endif

namespace canopy {

#if CANOPY_HAS_MEDIA

Result<int> givenLatentFrames(const std::filesystem::path& video, int fps) {
    const auto frames = media::framesAtRate(video, fps);
    if (!frames)
        return frames.error();
    return latentFrames(*frames);
}

Result<void> writeGivenVideo(const GenerationRequest& r, const std::filesystem::path& to) {
    const auto end =
        media::readClipEnd(r.imagePath, pixelFrames(r.chunks.givenFrames), r.fps, r.width, r.height);
    if (!end)
        return end.error();
    return media::writeClipEnd(*end, r.width, r.height, to);
}

#else

namespace {

Error noMedia(const std::filesystem::path& video) {
    return makeError(ErrorCode::Unsupported,
                     "This build has no video support; make the clip without a given start: " +
                         video.string());
}

} // namespace

Result<int> givenLatentFrames(const std::filesystem::path& video, int) {
    return noMedia(video);
}
Result<void> writeGivenVideo(const GenerationRequest& r, const std::filesystem::path&) {
    return noMedia(r.imagePath);
}

#endif

} // namespace canopy
