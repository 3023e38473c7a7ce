#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/studio/run_telemetry.h"

namespace canopy {

/// One row per step, branch, layer and head: step, branch, layer, head, mode, kept_share, reason, drift,
/// relative_drift, chosen_at; rows of a dense call have kept_share 1 and nothing behind it.
std::string telemetryCsv(const RunTelemetry& run);

/// numpy arrays over S recorded steps, B branches (prompt, negative), L layers and H heads: step [S],
/// step_seconds [S], attention_seconds and estimate_seconds [S, B, L], kept, drift and relative_drift
/// [S, B, L, H] (NaN where nothing was recorded), reason [S, B, L, H] (number of the RefreshReason, -1 dense,
/// -2 not recorded), chosen_at [S, B, L, H], and masks as mask_s<step>_<branch>_l<layer>_h<head>
/// [blocks, blocks] of 0 and 1.
Result<std::vector<std::uint8_t>> telemetryNpz(const RunTelemetry& run);

} // namespace canopy
