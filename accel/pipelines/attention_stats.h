#pragma once

#include <cstdint>
#include <vector>

#include "accel/policies/attention/attention_record.h"
#include "core/job/attention_settings.h"

namespace canopy::accel {

/// What sparse attention did in one clip, as JSON text:
///   version, attention (the settings), summary {calls, dense_calls, kept_share (mean over heads of sparse
///   calls), reused_share (of heads in sparse calls), estimate_seconds, attention_seconds}, and calls, a list
///   of {step, layer, branch "prompt" | "negative", mode "warmup" | "sparse", estimate_seconds,
///   attention_seconds} with, in sparse ones, a value per head in kept, reason (refreshReasonName), drift,
///   relative_drift (0 where nothing was measured) and chosen_at (step).
std::vector<std::uint8_t> attentionStatsJson(const AttentionSettings& settings,
                                             const std::vector<AttentionRecord>& records);

} // namespace canopy::accel
