#include "app/worker/remaining_time.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace canopy::worker {
namespace {

using protocol::Stage;

struct Typical {
    double mean = 0;
    double deviation = 0;
};

/// Of the last eight units; the first one warms caches up and is left out once there are others.
Typical typical(const std::vector<double>& units) {
    const std::size_t from =
        std::max<std::size_t>(units.size() > 1 ? 1 : 0, units.size() > 8 ? units.size() - 8 : 0);
    const auto begin = units.begin() + static_cast<std::ptrdiff_t>(from);
    const auto count = static_cast<double>(units.end() - begin);
    if (count == 0) {
        return {};
    }
    const double mean = std::accumulate(begin, units.end(), 0.0) / count;
    const double squares = std::accumulate(
        begin, units.end(), 0.0, [&](double sum, double u) { return sum + (u - mean) * (u - mean); });
    return {mean, std::sqrt(squares / count)};
}

} // namespace

void RemainingTime::begin(double pixels) {
    m_pixels = pixels;
    m_steps.clear();
    m_decode.clear();
}

void RemainingTime::unitFinished(Stage stage, double seconds) {
    if (stage == Stage::Denoise) {
        m_steps.push_back(seconds);
    } else if (stage == Stage::Decode) {
        m_decode.push_back(seconds);
    }
}

void RemainingTime::stageFinished(Stage stage, double seconds) {
    if (stage == Stage::Decode && m_pixels > 0) {
        m_decodePerPixel = seconds / m_pixels;
    }
}

RemainingTime::Estimate RemainingTime::estimate(Stage stage, int unitsLeft, double fraction,
                                                double unitElapsed) const {
    if (stage != Stage::Denoise && stage != Stage::Decode) {
        return {};
    }
    const std::vector<double>& units = stage == Stage::Denoise ? m_steps : m_decode;
    Typical unit = typical(units);
    if (units.empty()) {
        if (fraction < 0.1) {
            return {};
        }
        unit.mean = unitElapsed / fraction; // the first unit tells before it is finished
        unit.deviation = unit.mean * 0.3;
    }
    const double left = std::max(0.0, unitsLeft - fraction);
    Estimate out{unit.mean * left, unit.deviation * left + unit.mean * 0.25};
    if (stage == Stage::Denoise) {
        if (m_decodePerPixel) {
            out.seconds += *m_decodePerPixel * m_pixels;
            out.spread += *m_decodePerPixel * m_pixels * 0.1;
        } else {
            out.spread += out.seconds * 0.5;
        }
    }
    return out;
}

} // namespace canopy::worker
