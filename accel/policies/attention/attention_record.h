#pragma once

#include <functional>
#include <vector>

#include "core/job/attention_telemetry.h"

namespace canopy::accel {

/// Where records go, and how clocks are read on a card. Without `take` nothing is measured.
struct AttentionTelemetry {
    std::function<void(AttentionRecord)> take;
    std::function<void()> synchronize; ///< waits for the card before a clock is read; empty on the CPU
    std::function<bool()> wanted;      ///< asked once a call; empty = always
    /// Asked once a call; where both are set and the layer is wanted, every head's block mask is told. Hosts
    /// that choose clusters have none.
    std::function<bool(int layer)> wantsMasks;
    std::function<void(std::vector<BlockBitmap>)> takeMasks;
};

} // namespace canopy::accel
