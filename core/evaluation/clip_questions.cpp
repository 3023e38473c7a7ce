#include "core/evaluation/clip_questions.h"

#include <algorithm>

#include "core/base/files.h"
#include "core/formats/safetensors.h"
#include "core/job/ask_plan.h"
#include "core/media/pil_resize.h"

namespace canopy::evaluation {

Result<RawClip> readRawClip(const std::filesystem::path& file, int width, int height, int fps) {
    constexpr std::uint64_t kMaxBytes = std::uint64_t{4} << 30;
    auto bytes = readFile(file, kMaxBytes);
    if (!bytes)
        return bytes.error();
    const auto perFrame = static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3;
    if (bytes->empty() || bytes->size() % perFrame != 0)
        return makeError(ErrorCode::Mismatch,
                         "The drawn clip has " + std::to_string(bytes->size()) +
                             " bytes, which are no whole frames of " + std::to_string(width) + "x" +
                             std::to_string(height) +
                             " in RGB; draw it in the study's size. File: " + file.string());
    const int frames = static_cast<int>(bytes->size() / perFrame);
    return RawClip{width, height, frames, fps, std::move(*bytes)};
}

Result<AskRequest> askAbout(const RawClip& clip, const QaModelRecord& model,
                            const std::filesystem::path& framesFile) {
    AskRequest request = withModelDefaults(AskRequest{}, model);
    const int count = std::min(request.frames, clip.frames);
    const int side = model.vision.imageSize;
    std::vector<std::uint8_t> rgb;
    request.frameIndex.clear();
    request.frameSeconds.clear();
    for (int i = 0; i < count; ++i) {
        const int index = count > 1 ? i * (clip.frames - 1) / (count - 1) : 0;
        const auto scaled = media::pilBicubic(clip.frame(index), clip.width, clip.height, side, side);
        rgb.insert(rgb.end(), scaled.begin(), scaled.end());
        request.frameIndex.push_back(index);
        request.frameSeconds.push_back(static_cast<double>(index) / std::max(clip.fps, 1));
    }
    const auto extent = static_cast<std::uint64_t>(side);
    const auto file = writeSafetensors(
        {{"frames", DType::U8, {static_cast<std::uint64_t>(count), extent, extent, 3}, rgb}});
    if (auto written = writeFileAtomically(framesFile, file); !written)
        return written.error();
    request.frames = count;
    request.framesFile = framesFile.string();
    request.videoPath = framesFile.string();
    request.videoSeconds = static_cast<double>(clip.frames) / std::max(clip.fps, 1);
    return request;
}

} // namespace canopy::evaluation
