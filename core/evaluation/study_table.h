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
    std::vector<double> blockPsnr;       ///< dB of each block, mean over clips
    std::optional<double> hitRate;       ///< reused steps of blocks over all
    std::optional<double> flop;          ///< of a clip's sampling loop, counted in the engine
    std::optional<double> flopEstimate;  ///< the same by its cost model
    std::optional<double> flopSaved;     ///< share of the reference's counted flop
    std::optional<Interval> followed;    ///< share of right answers
    Followed followedCount;
    /// Paired with `against` on the same prompts and seeds: this arm's minus that one's; of time, that one's
    /// over this one's.
    std::optional<Interval> psnrGain, ssimGain, followedGain, timeGain;
};

/// Two families of arms at equal fidelity.
struct MatchedFidelity {
    std::string family, other;
    int clips = 0;                    ///< of each arm
    double psnrLow = 0, psnrHigh = 0; ///< dB against the reference: what both families reach
    double fasterBy = 0;              ///< the other's seconds over the family's
    std::optional<double> flopRatio;  ///< the other's flop over the family's
};

/// Every pair of families whose ranges of PSNR meet, over the prompts and seeds of which every arm of both
/// has a clip. Logarithms of seconds and flop are linear in PSNR between a family's arms; what is told is
/// their mean difference over the common range.
std::vector<MatchedFidelity> matchedFidelity(const StudyGrid& grid, const std::vector<StudyResult>& results);

/// One row for each arm, in the grid's order.
std::vector<StudyRow> studyTable(const StudyGrid& grid, const std::vector<StudyResult>& results);

/// Of values grouped by prompt.
Interval bootstrapInterval(const std::vector<std::vector<double>>& byPrompt);

} // namespace canopy::evaluation
