#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/job/attention_settings.h"
#include "core/job/paper_preset.h"

namespace canopy {

/// How a head's threshold is found. sparse-attention.md 5 and 2.6.
enum class CalibrationProcedure : std::uint8_t {
    /// Error-guided Budgeted Calibration: the error of the model's velocity with one head sparse, and a
    /// budget
    /// over all heads.
    Error,
    /// Baseline: one pass; the estimated mass that the blocks of 90 % of the true mass hold.
    Profile,
};
std::string_view calibrationProcedureName(CalibrationProcedure v); ///< "error", "profile"

/// Frequency bands of the velocity's error: first letter temporal, second spatial; low is below a quarter
/// cycle a sample, spatially on both axes. In this order wherever four numbers stand for bands.
inline constexpr int kErrorBands = 4; ///< LL, LH, HL, HH

/// Where one head was measured: steps of the dense run of one prompt, one for each interval.
struct HeadSample {
    int prompt = 0; ///< index into the calibration's prompts
    std::vector<int> steps;
    bool operator==(const HeadSample&) const = default;
};

/// One candidate threshold of one head, averaged over its samples.
struct HeadCandidate {
    double sparsity = 0;                         ///< skipped pairs of query and key over all pairs
    double error = 0;                            ///< sum over bands of weight times band error
    std::array<double, kErrorBands> bandError{}; ///< error energy of the band over the dense velocity's
    bool operator==(const HeadCandidate&) const = default;
};

struct CalibratedHead {
    double tau = 0;
    HeadSample sample;
    std::vector<HeadCandidate> candidates; ///< one for each of `grid`; of Profile one, at `tau`, no errors
    /// Mean over the sparse calls of the check clip, all heads at their thresholds; none without a check.
    std::optional<double> realisedSparsity;
    bool operator==(const CalibratedHead&) const = default;
};

/// Thresholds per head for one model, host and size, and all that they were found from. sparse-attention.md
/// 5.6.
struct AttentionCalibration {
    static constexpr int kVersion = 1;

    std::string modelId;
    std::string modelLabel;
    /// XAttention or Svg2 with its filled parameters; `tau` is the shared threshold that sets the budget,
    /// `warmup` the dense steps that were left out. Without reuse.
    AttentionSettings host;
    int width = 0, height = 0, frames = 0; ///< of the clips, pixels
    std::int64_t tokens = 0;               ///< video tokens of one attention call
    int steps = 0;
    double shift = 0;
    double guidance = 0;
    std::uint64_t seed = 0;
    int prompts = 0;         ///< that were measured on
    std::string promptsHash; ///< XXH64 of their lines, decimal
    CalibrationProcedure procedure = CalibrationProcedure::Error;
    PaperVersion paper = PaperVersion::V2; ///< whose dense steps were left out
    std::vector<double> grid;              ///< candidate thresholds, ascending; empty for Profile
    std::array<double, kErrorBands> weights{1, 0.5, 0.01, 0.01};

    double budget = 0; ///< S_min: mean sparsity of the shared threshold over all heads; 0 for Profile
    double lambda = 0; ///< price of sparsity: error per unit of summed sparsity at the optimum
    double gap = 0;    ///< certificate: summed error is at most so much above the optimum; 0 = optimal
    std::optional<double> realisedSparsity;       ///< mean over heads on the check clip
    std::optional<double> realisedSharedSparsity; ///< the same with the shared threshold for all heads

    std::vector<std::vector<CalibratedHead>> heads; ///< [layer][head]

    int layerCount() const { return static_cast<int>(heads.size()); }
    int headCount() const { return heads.empty() ? 0 : static_cast<int>(heads.front().size()); }
    /// Mean over the samples at the head's threshold.
    double predictedSparsity(int layer, int head) const;
    double predictedSparsity() const; ///< mean over heads
    /// [layer][head], as AttentionSettings::headTau takes it.
    std::vector<std::vector<double>> thresholds() const;

    bool operator==(const AttentionCalibration&) const = default;
};

/// Map with the keys of 5.6: version, model, model_label, host (AttentionSettings), width, height, frames,
/// tokens, steps, shift, guidance, seed, prompts, prompts_hash, procedure, paper, grid, weights, s_min,
/// lambda, gap, realised_mean, realised_shared_mean, and the tables tau[L][H], s[L][H][K], e[L][H][K],
/// e_band[L][H][K][4], sample[L][H] {prompt, steps}, realised[L][H].
Value toValue(const AttentionCalibration& calibration);
/// Strict: every key but the realised ones must be there, every table of the same L, H and K, every share in
/// 0..1, every tau of Error in the grid. The sentence names what is wrong.
Result<AttentionCalibration> attentionCalibrationFromValue(const Value& value);

/// Reads F.json; the sentence ends with the file.
Result<AttentionCalibration> readAttentionCalibration(const std::filesystem::path& file);
Result<void> writeAttentionCalibration(const AttentionCalibration& calibration,
                                       const std::filesystem::path& file);

/// Where thresholds are to be used.
struct CalibrationUse {
    std::string modelId;
    int layers = 0, heads = 0;
    std::int64_t tokens = 0;
};
/// Why these thresholds are of no use there, one sentence each: another model, number of layers or heads,
/// size, or other parameters of the host than `asked` has. Empty = they fit.
std::vector<std::string> calibrationProblems(const AttentionCalibration& calibration,
                                             const AttentionSettings& asked, const CalibrationUse& use);

} // namespace canopy
