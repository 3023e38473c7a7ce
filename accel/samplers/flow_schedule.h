#pragma once

#include <vector>

#include "core/job/generation_request.h"

namespace canopy::accel {

/// Noise levels of a flow-matching sampler. sigma 1 = noise, 0 = clean; x_sigma = (1 - sigma) x0 + sigma
/// noise.
struct FlowSchedule {
    std::vector<float> sigmas; ///< steps + 1 values, falling, the last 0
    std::vector<double>
        timesteps; ///< steps values in 0..1000, as the transformer is told (integers for UniPC)
    int steps() const { return static_cast<int>(timesteps.size()); }
};

/// UniPC's grid: diffusers spaces 1 -> 0.001 and starts at 1 - 1e-6, the original Wan and SkyReels-V2
/// repositories space 0.999 -> 0. Timesteps are truncated to integers by both.
FlowSchedule uniPcSchedule(int steps, double shift, TimeGrid grid);

/// Flow-match Euler as diffusers spaces it: the shift is applied to an evenly spaced grid between the shifted
/// ends.
FlowSchedule eulerSchedule(int steps, double shift);

/// shift(linspace(1, 0, steps + 1)): chunk-by-chunk sampling of the starter's references.
FlowSchedule plainSchedule(int steps, double shift);

} // namespace canopy::accel
