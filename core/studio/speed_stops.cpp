#include "core/studio/speed_stops.h"

#include <algorithm>
#include <cmath>

namespace canopy {
namespace {

constexpr SpeedStop kStops[] = {
    {"dense", "Dense", "Every key for every query: the reference."},
    {"faithful", "Faithful", "Keeps 95 % of the attention's mass, chosen anew in every step."},
    {"balanced", "Balanced", "Keeps 90 % of the mass and reuses choices until a head has drifted."},
    {"fast", "Fast", "Keeps 80 % of the mass and reuses choices until a head has drifted."},
    {"draft", "Draft", "Keeps 60 % of the mass and reuses choices: for a first look."},
};

int share(double part, int steps) {
    return std::clamp(static_cast<int>(std::lround(part * steps)), 0, std::max(0, steps - 1));
}

} // namespace

std::span<const SpeedStop> speedStops() {
    return kStops;
}

AttentionSettings attentionOf(std::string_view stop, int steps) {
    AttentionSettings s;
    if (stop == "dense")
        return s;
    s.method = AttentionMethod::XAttention;
    s.stride = stop == "faithful" ? 8 : 16;
    s.tau = stop == "faithful" ? 0.95 : stop == "balanced" ? 0.9 : stop == "fast" ? 0.8 : 0.6;
    s.warmup = share(stop == "faithful" ? 0.2 : stop == "draft" ? 0.05 : 0.1, steps);
    if (stop != "faithful") {
        s.reuse = MaskReuse::Tmr;
        s.delta = 30;
    }
    return s;
}

std::optional<std::string_view> stopOf(const AttentionSettings& attention, int steps) {
    if (attention.method == AttentionMethod::Dense)
        return kStops[0].id;
    for (const SpeedStop& stop : kStops)
        if (attentionOf(stop.id, steps) == attention)
            return stop.id;
    return std::nullopt;
}

} // namespace canopy
