#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "core/project/clip_library.h"

namespace canopy {

/// Places in a list of clips.
struct ClipPair {
    std::size_t dense = 0;
    std::size_t accelerated = 0;
};

/// The newest accelerated clip that has a dense twin here, with its newest twin. Clips stand newest first, as
/// the library gives them.
std::optional<ClipPair> newestPair(std::span<const Clip> clips);

/// The newest dense clip of the same shot (isSameShot), of equal rounding where there is one.
std::optional<std::size_t> denseTwinOf(std::span<const Clip> clips, const GenerationRequest& request);

/// The newest clip that is the given dense one rounded in another way (isRounding).
std::optional<std::size_t> roundingOf(std::span<const Clip> clips, const GenerationRequest& dense);

} // namespace canopy
