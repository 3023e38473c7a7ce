#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy {

/// How much a video model's velocity changes when its time features change, measured on its own clips:
/// output change = p(time change), both relative L1 from one step to the next. It judges which steps may be
/// reused by their time alone (flow-cache.md 5). For one model only. Lies beside the weights as
/// kReuseCalibrationFile, or anywhere.
struct ReuseCalibration {
    static constexpr int kVersion = 1;

    /// A share of reused steps and the threshold that gives it under the run's steps and warm-up.
    struct Preset {
        double wanted = 0; ///< share
        double hitRate = 0;
        double threshold = 0;
        bool operator==(const Preset&) const = default;
    };

    std::string modelId;
    std::string modelLabel;
    std::array<double, 5> polynomial{}; ///< degree 4, highest power first
    double residual = 0;                ///< root mean square of measured minus predicted output change
    double meanChange = 0;              ///< of the output, which the residual compares with
    double largestTimeChange = 0;       ///< the polynomial is not known beyond
    int prompts = 0;
    int samples = 0; ///< steps of chunks
    int steps = 0;
    int warmup = 0; ///< of the presets
    double shift = 0;
    double guidance = 0;
    int width = 0, height = 0, frames = 0; ///< pixels
    std::vector<Preset> presets;

    bool operator==(const ReuseCalibration&) const = default;
};

inline constexpr const char* kReuseCalibrationFile = "canopy-reuse.json";

/// Map with "version" and one key per field: model, label, polynomial, residual, mean_change,
/// largest_time_change, prompts, samples, steps, warmup, shift, guidance, width, height, frames, presets
/// (wanted, hit_rate, threshold).
Value toValue(const ReuseCalibration& calibration);
/// Strict about what is read: five finite coefficients and no negative figures.
Result<ReuseCalibration> reuseCalibrationFromValue(const Value& value);

/// A file of at most 1 MiB. One of another model than `modelId` is ErrorCode::Mismatch.
Result<ReuseCalibration> readReuseCalibration(const std::filesystem::path& file, const std::string& modelId);

} // namespace canopy
