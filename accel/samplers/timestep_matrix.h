#pragma once

#include <cstdint>
#include <vector>

namespace canopy::accel {

/// One row of a diffusion-forcing schedule: a timestep per latent frame, who advances, and which frames enter
/// the transformer.
struct TimestepRow {
    std::vector<double> timesteps; ///< per frame: what the transformer is told
    std::vector<int> stepIndex;    ///< per frame: 0 = not started, 1..steps, steps + 1 = finished
    std::vector<bool> advances;    ///< per frame: its solver steps after this row
    int firstFrame = 0;
    int endFrame = 0; ///< exclusive
};

struct DiffusionForcingSetting {
    int frames = 0;            ///< latent frames
    int baseFrames = 0;        ///< latent frames of the segment the model was trained for
    int arStep = 0;            ///< lag between blocks in steps; 0 = synchronous
    int prefixFrames = 0;      ///< finished from the start
    int causalBlockFrames = 1; ///< frames that move together; a tail that fills no block is dropped
};

/// SkyReels-V2's step matrix over the solver's timesteps: flow-cache.md 2.2.
/// Throws std::invalid_argument when ar_step is too small for frames beyond the base.
std::vector<TimestepRow> timestepMatrix(const DiffusionForcingSetting& setting,
                                        const std::vector<double>& timesteps);

} // namespace canopy::accel
