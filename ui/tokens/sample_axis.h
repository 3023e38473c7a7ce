#pragma once

#include <algorithm>
#include <cmath>

namespace canopy::ui {

/// The one x axis of strip, forest and kept counts: `samples` slots of equal width side by side. Logical
/// pixels.
struct SampleAxis {
    double left = 0;
    double width = 0;
    int samples = 0;

    double slot() const { return samples > 0 ? width / samples : 0; }
    double start(int sample) const { return left + slot() * sample; }
    double centre(int sample) const { return left + slot() * (sample + 0.5); }
    int at(double x) const { ///< -1 without samples; clamped
        return samples > 0 ? std::clamp(int(std::floor((x - left) / slot())), 0, samples - 1) : -1;
    }
    /// Every how many samples something of at least `minimum` pixels can stand.
    int stride(double minimum) const {
        return slot() <= 0 ? 1 : std::max(1, int(std::ceil(minimum / slot())));
    }
};

} // namespace canopy::ui
