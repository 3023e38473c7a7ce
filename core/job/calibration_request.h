#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/formats/model_config.h"
#include "core/job/attention_calibration.h"
#include "core/job/generation_request.h"

namespace canopy {

/// One head at one step of its sample. What the worker measures, and a line of a calibration's journal.
struct HeadMeasurement {
    int layer = 0;
    int head = 0;
    int step = 0;
    double profileTau = 0;        ///< Profile: the threshold found here; 0 for Error
    std::vector<double> sparsity; ///< per candidate; of Profile one, at `profileTau`
    std::vector<std::array<double, kErrorBands>> bandError; ///< per candidate; empty for Profile
    bool operator==(const HeadMeasurement&) const = default;
};
Value toValue(const HeadMeasurement& measurement);
Result<HeadMeasurement> headMeasurementFromValue(const Value& value);

/// Asks the engine to measure every head of a model. The thresholds are chosen from the measurements by the
/// client (core/evaluation/calibration_run.h).
struct CalibrationRequest {
    static constexpr int kVersion = 1;

    /// Size, steps, guidance, seed and so on of the dense runs; its prompt is not read. `clip.attention` is
    /// the host, `tau` the shared threshold, which is one of `grid`.
    GenerationRequest clip;
    std::vector<std::string> prompts; ///< that heads are measured on
    CalibrationProcedure procedure = CalibrationProcedure::Error;
    PaperVersion paper = PaperVersion::V2;
    std::vector<double> grid{0.85, 0.9, 0.95}; ///< candidate thresholds, ascending; not read for Profile
    /// Measured before, {layer, head, step} one after another: an interrupted calibration goes on.
    std::vector<int> measured;

    bool operator==(const CalibrationRequest&) const = default;
};
Value toValue(const CalibrationRequest& request);
Result<CalibrationRequest> calibrationRequestFromValue(const Value& value);

/// Fills what is open from the model's record; dense steps as the paper's version has them.
CalibrationRequest withModelDefaults(CalibrationRequest request, const ModelDefaults& defaults);
/// All that is wrong with a filled request for this model, one sentence each.
std::vector<std::string> checkCalibration(const CalibrationRequest& request, const ModelRecord& model);

/// Where each head is measured, [layer][head]. Prompts are dealt evenly over the heads in an order drawn from
/// `seed`; of four equal intervals of the steps (those of 50 are 0-11, 12-24, 25-36, 37-49) each gives one
/// step that is not among the first `warmup`; intervals without such a step give none.
std::vector<std::vector<HeadSample>> calibrationSamples(int layers, int heads, int prompts, int steps,
                                                        int warmup, std::uint64_t seed);

} // namespace canopy
