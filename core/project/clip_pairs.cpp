#include "core/project/clip_pairs.h"

#include "core/job/settings_comparison.h"

namespace canopy {

std::optional<std::size_t> denseTwinOf(std::span<const Clip> clips, const GenerationRequest& request) {
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < clips.size(); ++i) {
        const GenerationRequest& other = clips[i].request;
        if (isAccelerated(other) || !isSameShot(other, request))
            continue;
        if (other.precision == request.precision && other.device == request.device)
            return i;
        if (!found)
            found = i;
    }
    return found;
}

std::optional<ClipPair> newestPair(std::span<const Clip> clips) {
    for (std::size_t i = 0; i < clips.size(); ++i)
        if (isAccelerated(clips[i].request))
            if (const auto dense = denseTwinOf(clips, clips[i].request))
                return ClipPair{*dense, i};
    return std::nullopt;
}

std::optional<std::size_t> roundingOf(std::span<const Clip> clips, const GenerationRequest& dense) {
    for (std::size_t i = 0; i < clips.size(); ++i)
        if (isRounding(clips[i].request, dense))
            return i;
    return std::nullopt;
}

} // namespace canopy
