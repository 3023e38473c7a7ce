#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "accel/nn/token_hooks.h"

namespace canopy::test {

/// What moves in a synthetic video.
enum class Motion { Static, Cuts, Drift, Pan, Object, Random };
const std::vector<Motion>& allMotions();
std::string motionName(Motion motion);

struct SyntheticSize {
    int frames = 6;
    int rows = 6;
    int columns = 6;
    int width = 24; ///< D
};

/// Features in which neighbouring cells resemble each other and frames repeat as `motion` says, with
/// attention, keys and pixel differences. Equal seeds, equal bits.
accel::VideoTokens syntheticVideo(Motion motion, std::uint64_t seed, const SyntheticSize& size = {});

} // namespace canopy::test
