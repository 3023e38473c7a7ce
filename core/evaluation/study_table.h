#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/evaluation/study_run.h"

namespace canopy::evaluation {

/// A mean over prompts and seeds with a 95 % interval: percentiles of 10,000 bootstrap resamples of the
/// prompts (Efron 1979; fixed seed), all seeds of a prompt together.
struct Interval {
    double mean = 0, low = 0, high = 0;
    int clips = 0;
};

struct StudyRow {
    std::string arm;
    std::string against; ///< arm of the paired differences
    bool isReference = false, isFloor = false;
    int clips = 0;                   ///< repeats not counted
    double denoiseSeconds = 0;       ///< median over clips of the median over repeats
    std::optional<Interval> speedUp; ///< geometric mean of reference seconds over these, paired
    std::optional<double> density, reusedShare;
    std::optional<double> estimateShare; ///< of the sparse calls' time that choosing takes
    std::optional<Interval> psnr, ssim;  ///< against the reference
    std::optional<double> worstPsnr;     ///< mean over clips of each one's worst frame
    std::optional<Interval> followed;    ///< share of right answers
    Followed followedCount;
    /// Paired with `against` on the same prompts and seeds: this arm's minus that one's; of time, that one's
    /// over this one's.
    std::optional<Interval> psnrGain, ssimGain, followedGain, timeGain;
};

/// One row for each arm, in the grid's order.
std::vector<StudyRow> studyTable(const StudyGrid& grid, const std::vector<StudyResult>& results);

/// Of values grouped by prompt.
Interval bootstrapInterval(const std::vector<std::vector<double>>& byPrompt);

} // namespace canopy::evaluation
