#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "accel/nn/forward_context.h"
#include "core/job/attention_settings.h"
#include "core/job/attention_telemetry.h"

namespace canopy::accel {

/// Mean over tokens of every head's queries and keys, float32 [H, D] each.
struct PooledMeans {
    at::Tensor q, k;
};
PooledMeans poolMeans(const AttentionCall& call);

struct HeadDrift {
    double absolute = 0; ///< d = |q_anchor - q|_1 + |k_anchor - k|_1 of the means
    double relative = 0; ///< d / (|q_anchor|_1 + |k_anchor|_1)
};
/// Per head. sparse-attention.md 4.2.
std::vector<HeadDrift> driftOf(const PooledMeans& anchor, const PooledMeans& now);

/// The same as float64 [H] beside the means: `absolute` alone, nothing is read from a card.
at::Tensor absoluteDrift(const PooledMeans& anchor, const PooledMeans& now);

/// Which heads choose anew, for a layer whose heads all have a choice. `ages` are steps since each head's
/// choice; `drift` may be empty unless reuse is Tmr. Tmr (4.3): a head wants to when its drift is above
/// delta, equality reuses; the share r of such heads against the gate: r < low none, r > high all, else those
/// that want to. Age and cap overrule the gate (4.4).
std::vector<RefreshReason> decideRefresh(const AttentionSettings& settings, const std::vector<int>& ages,
                                         const std::vector<HeadDrift>& drift);

/// The same decision of Tmr as operators on `drift`'s device (absoluteDrift), so that no host waits for it;
/// `ages` int64 [H]. Returns RefreshReason as int64 [H].
at::Tensor decideRefreshBeside(const AttentionSettings& settings, const at::Tensor& ages,
                               const at::Tensor& drift);

} // namespace canopy::accel
