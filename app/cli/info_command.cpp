#include <cstdio>
#include <string>

#include "app/cli/commands.h"
#include "app/cli/output.h"
#include "core/base/value_codec.h"

#if CANOPY_HAS_MEDIA
#include "core/media/clip_metadata.h"
#include "core/media/video_reader.h"
#endif

namespace canopy::cli {

#if CANOPY_HAS_MEDIA

int info(const std::filesystem::path& file) {
    const auto reader = media::VideoReader::open(file);
    if (!reader) {
        return report(reader.error());
    }
    const media::VideoInfo& video = (*reader)->info();
    std::printf("%s: %dx%d, %d frames, %.3f s, %s %s\n", printable(file.filename().string()).c_str(),
                video.width, video.height, video.frames, video.seconds, printable(video.codec).c_str(),
                printable(video.pixelFormat).c_str());
    if (!video.damage.empty()) {
        std::printf("damage: %s\n", printable(video.damage).c_str());
    }
    const Result<media::ClipMetadata> metadata = media::clipMetadataFromText(video.comment);
    if (!metadata) {
        return report(metadata.error());
    }
    std::printf("model: %s\n", printable(metadata->modelLabel).c_str());
    std::printf("made by: Canopy %s\n", printable(metadata->program).c_str());
    for (const auto& [key, value] : metadata->request.asMap()) {
        const std::string text = value.isString() ? value.asString() : toJson(value);
        if (!text.empty()) {
            std::printf("%s: %s\n", printable(key).c_str(), printable(text).c_str());
        }
    }
    for (const auto& [key, value] : metadata->summary.asMap()) {
        if (value.isNumber()) {
            std::printf("%s: %s\n", printable(key).c_str(), toJson(value).c_str());
        }
    }
    return kOk;
}

#else

int info(const std::filesystem::path&) {
    std::fputs(
        "This canopy-cli was built without video files (FFmpeg), so it cannot read a clip. Use one that was "
        "built with CANOPY_BUILD_MEDIA.\n",
        stderr);
    return kNotInThisBuild;
}

#endif

} // namespace canopy::cli
