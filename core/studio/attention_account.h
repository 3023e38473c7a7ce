#pragma once

#include <optional>

#include "core/studio/run_telemetry.h"

namespace canopy {

/// Where the time of a clip's steps went, against the same steps with dense attention. All in seconds, over
/// the steps that are there. denseSeconds - skipped + choosing + rest = measured, exactly.
struct AttentionAccount {
    /// What dense steps of the same clip say, where there was one.
    struct AgainstDense {
        double denseSeconds = 0; ///< predicted: the median dense step, as often as there are steps
        double skipped = 0;      ///< saved by pairs of query and key that were not computed
        double choosing = 0;     ///< spent on means, drift, estimates and choices
        double rest = 0;         ///< change of everything that is not attention

        double attentionShare = 0; ///< f: of a dense step
        double warmupShare = 0;    ///< w: steps that were dense
        double density = 1;        ///< rho: kept pairs in sparse steps
        double efficiency = 1;     ///< eta: of the sparse kernel against the dense one at equal FLOP
        double overhead = 0;       ///< o: choosing over dense attention time
        double measuredFactor = 1; ///< denseSeconds over measured
        double modelFactor = 1;    ///< by speedupModel() from the five above
    };
    double measured = 0;
    int steps = 0;
    int denseSteps = 0;
    double keptShare = 1;   ///< mean over heads of sparse calls
    double reusedShare = 0; ///< of heads in sparse calls
    int choicesAvoided = 0; ///< heads whose choice was reused
    std::optional<AgainstDense> dense;
};

AttentionAccount accountOf(const RunTelemetry& run);

/// Speed-up over dense attention: 1 / [(1-f) + f (w + (1-w)(rho/eta + o))]. sparse-attention.md 1.4.
double speedupModel(double attentionShare, double warmupShare, double density, double efficiency,
                    double overhead);

} // namespace canopy
