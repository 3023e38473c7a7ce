#pragma once

#include <ATen/core/Tensor.h>

namespace canopy::accel::ops {

/// Mean over tokens of every head's queries and keys: float32 contiguous [H, D] each, on one device.
struct PooledMeans {
    at::Tensor q, k;
};

/// When heads choose anew; sparse-attention.md 4.3 and 4.4.
struct RefreshRule {
    double delta = 0;     ///< a head wants to when its drift is above
    double gateLow = 0;   ///< below this share of such heads none does
    double gateHigh = 0;  ///< above this share all do
    bool hardCap = false; ///< twice delta does in any case
    int maxAge = 0;       ///< and so does an age of this many steps; 0: none
};

/// At each head's last choice.
struct DriftAnchor {
    PooledMeans means;
    at::Tensor chosenAt; ///< int32 [H] beside the means: steps
};

/// |anchor.q - now.q|_1 + |anchor.k - now.k|_1 per head, float32 [H] beside the means. A card never meets the
/// host.
at::Tensor meanDrift(const PooledMeans& anchor, const PooledMeans& now);

/// Whether each head chooses anew in `step`, bool [H] beside the means; the anchor of those that do becomes
/// the present, and its tensors may be written over. On a card one kernel of ours, operators elsewhere; the
/// same decision as meanDrift() and the rule give on the host.
at::Tensor refreshWhere(const RefreshRule& rule, int step, const PooledMeans& now, DriftAnchor& anchor);

} // namespace canopy::accel::ops
