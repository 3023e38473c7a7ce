#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/formats/model_config.h"
#include "core/studio/speed_record.h"
#include "core/studio/studio.h"

namespace canopy {

/// One short generation of a measurement.
struct SpeedRun {
    std::string stop;
    GenerationRequest request;
    /// Place of the dense run of the same noise whose clip this one is compared with; -1 = none.
    int denseRun = -1;
};

/// What is measured for clips like `base` (model, size, prompt, guidance, precision, threads): dense clips of
/// three lengths, every other stop at the longest and the shortest of them, and the first dense clip once
/// more at the end, because a machine is not equally fast all the time.
std::vector<SpeedRun> speedPlan(const GenerationRequest& base, const ModelDefaults& defaults);

struct SpeedMeasureOptions {
    std::stop_token stop;
    /// Before every run, and at the end with done == runs.
    std::function<void(int done, int runs, const std::string& words)> progress;
    /// Runs that would begin later are left out, as long as two dense lengths and one of every stop are
    /// there.
    double mostSeconds = 300;
};

/// Makes the plan's clips one after another through the studio, as jobs that everybody sees in the queue and
/// can cancel, reads their times and likeness, and removes them again. Blocks; any thread but the
/// conductor's. An error of a run, or a cancel, ends the measurement: nothing is kept then.
Result<SpeedRecord> measureSpeed(Studio& studio, const std::vector<SpeedRun>& plan,
                                 const SpeedMeasureOptions& options = {});

} // namespace canopy
