#include "core/studio/read_clip.h"

#include <chrono>

#include "core/studio/make_thumbnail.h"
#include "core/studio/studio.h"

#if CANOPY_HAS_MEDIA
#include "core/media/clip_metadata.h"
#include "core/media/video_reader.h"
#endif

namespace canopy {

#if CANOPY_HAS_MEDIA

Result<GenerationRequest> readClipRequest(const std::filesystem::path& file) {
    const auto metadata = media::readClipMetadata(file);
    if (!metadata)
        return metadata.error();
    auto request = generationRequestFromValue(metadata->request);
    if (!request)
        return makeError(request.error().code, request.error().message + " " + file.string());
    // A file from outside names no files of ours.
    request->modelPath.clear();
    request->resumeLatentsPath.clear();
    request->resumeStatePath.clear();
    request->imagePixelsPath.clear();
    return request;
}

Result<Clip> readClip(const std::filesystem::path& file) {
    auto reader = media::VideoReader::open(file);
    if (!reader)
        return reader.error();
    const auto metadata = media::clipMetadataFromText((*reader)->info().comment);
    if (!metadata)
        return metadata.error();
    auto request = generationRequestFromValue(metadata->request);
    if (!request)
        return request.error();
    Clip clip;
    clip.file = file;
    clip.request = std::move(*request);
    clip.modelLabel = metadata->modelLabel;
    clip.makeSeconds = metadata->summary["make_seconds"].asDouble();
    clip.madeAtMillis = metadata->madeAtMillis;
    if (const auto frame = (*reader)->frame((*reader)->info().frames / 2))
        clip.thumbnail = makeThumbnail(frame->rgb, frame->width, frame->height);
    fillFileFacts(clip);
    return clip;
}

Result<std::vector<FrameLook>> readLooks(const std::filesystem::path& file, std::stop_token stop) {
    auto reader = media::VideoReader::open(file);
    if (!reader)
        return reader.error();
    std::vector<FrameLook> looks;
    for (;;) {
        if (stop.stop_requested())
            return makeError(ErrorCode::Cancelled, "Another clip is looked at.");
        auto frame = (*reader)->next();
        if (!frame)
            return frame.error();
        if (!*frame)
            return looks;
        looks.push_back(lookOf((*frame)->rgb, (*frame)->width, (*frame)->height));
    }
}

#else

Result<std::vector<FrameLook>> readLooks(const std::filesystem::path&, std::stop_token) {
    return makeError(ErrorCode::Unsupported, "This build has no video support.");
}

Result<GenerationRequest> readClipRequest(const std::filesystem::path&) {
    return makeError(ErrorCode::Unsupported,
                     "This build has no video support; settings.json beside the frames holds "
                     "the same settings.");
}

Result<Clip> readClip(const std::filesystem::path&) {
    return makeError(ErrorCode::Unsupported, "This build has no video support.");
}

#endif

void fillFileFacts(Clip& clip) {
    std::error_code ec;
    const auto bytes = std::filesystem::file_size(clip.file, ec);
    if (ec)
        return;
    clip.fileBytes = bytes;
    const auto time = std::filesystem::last_write_time(clip.file, ec);
    if (!ec)
        clip.fileMillis = std::chrono::duration_cast<std::chrono::milliseconds>(
                              std::chrono::file_clock::to_sys(time).time_since_epoch())
                              .count();
}

} // namespace canopy
