#pragma once

#include <cstdint>
#include <vector>

#include "core/job/attention_settings.h"
#include "core/job/attention_telemetry.h"

namespace canopy::accel {

/// What sparse attention did in one clip, as JSON text:
///   version, attention (the settings), summary (attentionSummary) and calls, a list of AttentionRecord.
std::vector<std::uint8_t> attentionStatsJson(const AttentionSettings& settings,
                                             const std::vector<AttentionRecord>& records);

} // namespace canopy::accel
