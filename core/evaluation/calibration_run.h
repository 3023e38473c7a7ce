#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/client/worker_client.h"
#include "core/formats/model_config.h"
#include "core/job/calibration_request.h"

namespace canopy::evaluation {

struct CalibrationProgress {
    std::string stage; ///< of the worker: "load", "text", "calibrate"; then "check"
    int unit = 0, units = 0;
    std::size_t measured = 0; ///< heads at their steps, earlier runs included
    std::size_t samples = 0;
    double remainingSeconds = 0; ///< of the measuring, from this run's blocks; 0 = unknown
};

struct CalibrationRunOptions {
    CalibrationRequest request; ///< defaults filled in
    /// The thresholds are tried on a clip of this prompt, which no head was measured on; empty = not tried.
    std::string checkPrompt;
    ModelRecord model;
    /// Measurements as they come, one a line. A journal of another calibration is refused, and so is any
    /// unless `resume`.
    std::filesystem::path journal;
    bool resume = false;
    client::WorkerClientOptions worker;
    std::function<void(const CalibrationProgress&)> progress; ///< on the caller's thread; may be empty
};

/// Has every head measured by a worker of its own, chooses the thresholds and tries them: once with them and
/// once with the shared threshold, for the sparsity that is realised when all heads are sparse. Cancelled
/// when `stop` was requested; what was measured stays in the journal.
Result<AttentionCalibration> runCalibration(CalibrationRunOptions options, std::stop_token stop);

/// The thresholds that complete measurements give: means over each head's samples, then the budget of the
/// shared threshold (chooseThresholds); for Profile the mean of the thresholds found.
Result<AttentionCalibration> calibrationFrom(const CalibrationRequest& request, const ModelRecord& model,
                                             const std::vector<HeadMeasurement>& measurements);

} // namespace canopy::evaluation
