#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "core/project/clip_library.h"

namespace canopy {

/// One of several clips that share their beginning.
struct Take {
    std::size_t clip = 0; ///< place in the list
    int fromChunk = 0;    ///< of its own; 0 = the first clip of the family
};

/// The family of a clip: the one that all go back to, then what was made of it or of its takes, in the order
/// of their making. Alone or unknown: at most itself. Clips stand as the library gives them. Pure.
std::vector<Take> takesOf(std::span<const Clip> clips, const std::filesystem::path& file);

} // namespace canopy
