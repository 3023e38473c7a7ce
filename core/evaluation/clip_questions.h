#pragma once

// Private to core/evaluation.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/evaluation/study_run.h"
#include "core/job/answer.h"

namespace canopy::evaluation {

/// A clip as it left the decoder: RGB frames one after another.
struct RawClip {
    int width = 0, height = 0, frames = 0, fps = 0;
    std::vector<std::uint8_t> rgb;
    std::span<const std::uint8_t> frame(int index) const {
        const auto bytes = static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3;
        return std::span(rgb).subspan(bytes * static_cast<std::size_t>(index), bytes);
    }
};

/// Raw frames of a drawn clip; the file's size must be that of whole frames of this size.
Result<RawClip> readRawClip(const std::filesystem::path& file, int width, int height, int fps);

/// The request that asks about these frames: the model's own number of them, evenly spread, scaled as for a
/// video and written to `framesFile`.
Result<AskRequest> askAbout(const RawClip& clip, const QaModelRecord& model,
                            const std::filesystem::path& framesFile);

} // namespace canopy::evaluation
