#pragma once

#include <optional>
#include <vector>

#include "core/protocol/messages.h"

namespace canopy::worker {

/// Predicts what is left of a job from its own measured units. Decoding comes after denoising and is only
/// guessed there: from the speed of the last job's decoding, else it counts as unknown and widens the range.
class RemainingTime {
public:
    struct Estimate {
        double seconds = 0; ///< 0 = unknown
        double spread = 0;  ///< half width of the range
    };

    /// A new job of so many pixels (width x height x frames).
    void begin(double pixels);
    void unitFinished(protocol::Stage stage, double seconds);
    void stageFinished(protocol::Stage stage, double seconds);
    /// `fraction` of the current unit is done after `unitElapsed` seconds.
    Estimate estimate(protocol::Stage stage, int unitsLeft, double fraction, double unitElapsed) const;

private:
    double m_pixels = 0;
    std::vector<double> m_steps;            ///< seconds of the finished denoising steps
    std::vector<double> m_decode;           ///< seconds of the finished decoded units
    std::optional<double> m_decodePerPixel; ///< of the last job in this process
};

} // namespace canopy::worker
