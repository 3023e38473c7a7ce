#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "accel/nn/forward_context.h"
#include "accel/policies/attention/temporal_mask_reuse.h"

namespace canopy::accel {

/// One attention call as a sparse policy ran it. Scalars only, about 40 bytes a head.
struct AttentionRecord {
    enum class Mode : std::uint8_t { Warmup, Sparse };
    struct Head {
        double keptShare = 1; ///< kept pairs of query and key over all pairs
        RefreshReason reason = RefreshReason::First;
        double drift = 0;         ///< against the last choice; 0 where nothing was measured
        double relativeDrift = 0; ///< over the L1 norms of the means at the last choice
        int chosenAt = 0;         ///< step of the choice that was used
    };

    int step = 0;
    int layer = 0;
    Branch branch = Branch::Prompt;
    Mode mode = Mode::Sparse;
    std::vector<Head> heads;    ///< none in a dense warm-up call
    double estimateSeconds = 0; ///< means, drift, estimate and choice
    double attentionSeconds = 0;
};

/// Where records go, and how clocks are read on a card. Without `take` nothing is measured.
struct AttentionTelemetry {
    std::function<void(AttentionRecord)> take;
    std::function<void()> synchronize; ///< waits for the card before a clock is read; empty on the CPU
};

} // namespace canopy::accel
