#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/client/worker_client.h"
#include "core/formats/model_config.h"
#include "core/formats/reuse_calibration.h"
#include "core/job/generation_request.h"

namespace canopy::evaluation {

inline constexpr std::size_t kLeastReusePrompts = 8;

struct ReuseCalibrationProgress {
    std::size_t prompt = 0; ///< measured so far, earlier runs included
    std::size_t prompts = 0;
    int unit = 0, units = 0;     ///< rows of the clip under way; 0 while the model is loaded
    double remainingSeconds = 0; ///< 0 = unknown
};

struct ReuseCalibrationRunOptions {
    /// Size, steps, block, guidance and seed of the clips that are measured. Its prompt and what it says of
    /// reuse are not read.
    GenerationRequest clip;
    std::vector<std::string> prompts; ///< at least kLeastReusePrompts
    ModelRecord model;
    /// Samples as they come, one prompt a line. A journal of another calibration is refused, and so is any
    /// unless `resume`.
    std::filesystem::path journal;
    bool resume = false;
    client::WorkerClientOptions worker;
    std::function<void(const ReuseCalibrationProgress&)> progress; ///< on the caller's thread; may be empty
};

/// Makes a clip of each prompt in blocks with nothing reused, up to its latents, on a worker of its own; fits
/// the polynomial to how time features and velocities changed (fitReuse), and has the worker find the
/// thresholds of the presets. Cancelled when `stop` was requested; what was measured stays in the journal.
Result<ReuseCalibration> runReuseCalibration(ReuseCalibrationRunOptions options, std::stop_token stop);

} // namespace canopy::evaluation
