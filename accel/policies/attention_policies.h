#pragma once

#include <memory>

#include "accel/policies/attention/attention_record.h"
#include "accel/policies/attention/sparse_host.h"
#include "core/job/attention_settings.h"

namespace canopy::accel {

/// The way to choose keys that settings ask for; null for dense attention and the window, which choose none.
std::unique_ptr<SparseHost> makeSparseHost(const AttentionSettings& settings);

/// The policy that settings ask for, for one clip; null for dense attention, which needs none. `settings` is
/// filled (withAttentionDefaults) and checked (checkAttention). Only sparse hosts tell telemetry.
std::unique_ptr<AttentionPolicy> makeAttentionPolicy(const AttentionSettings& settings,
                                                     AttentionTelemetry telemetry = {});

} // namespace canopy::accel
