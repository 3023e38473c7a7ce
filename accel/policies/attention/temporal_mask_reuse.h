#pragma once

#include <vector>

#include "accel/nn/forward_context.h"
#include "accel/ops/mask_drift.h"
#include "core/job/attention_settings.h"
#include "core/job/attention_telemetry.h"

namespace canopy::accel {

using ops::DriftAnchor;
using ops::PooledMeans;

/// The call's own means, or those of its queries and keys.
PooledMeans poolMeans(const AttentionCall& call);

struct HeadDrift {
    double absolute = 0; ///< d = |q_anchor - q|_1 + |k_anchor - k|_1 of the means
    double relative = 0; ///< d / (|q_anchor|_1 + |k_anchor|_1)
};
/// Per head. sparse-attention.md 4.2.
std::vector<HeadDrift> driftOf(const PooledMeans& anchor, const PooledMeans& now);

/// Which heads choose anew, for a layer whose heads all have a choice. `ages` are steps since each head's
/// choice; `drift` may be empty unless reuse is Tmr. Tmr (4.3): a head wants to when its drift is above
/// delta, equality reuses; the share r of such heads against the gate: r < low none, r > high all, else those
/// that want to. Age and cap overrule the gate (4.4).
std::vector<RefreshReason> decideRefresh(const AttentionSettings& settings, const std::vector<int>& ages,
                                         const std::vector<HeadDrift>& drift);

/// The same rule of Tmr for ops::refreshWhere(), which decides beside the numbers.
ops::RefreshRule refreshRule(const AttentionSettings& settings);

} // namespace canopy::accel
