#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "core/job/generation_request.h"

namespace canopy {

/// One place of the Speed slider: a name for real settings of the attention.
struct SpeedStop {
    std::string_view id; ///< as measurements are stored
    std::string_view label;
    std::string_view help; ///< one sentence
};

/// From dense to the fastest.
std::span<const SpeedStop> speedStops();

/// The attention of a stop for a clip of `steps` steps. The dense first steps keep the composition (published
/// methods use 10 to 30 %); fewer of them and less mass kept (tau) is faster and farther from the dense clip.
AttentionSettings attentionOf(std::string_view stop, int steps);

/// The stop whose settings these are; none: settings of somebody's own.
std::optional<std::string_view> stopOf(const AttentionSettings& attention, int steps);

} // namespace canopy
