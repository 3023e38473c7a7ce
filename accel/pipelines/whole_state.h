#pragma once

#include "accel/pipelines/denoise.h"
#include "accel/policies/state_parts.h"

namespace canopy::accel {

/// Everything of the state between two rows.
void saveWhole(const DenoiseState& state, StateParts& parts);
/// Puts it back into a state that startState() made for the same plan. Throws std::invalid_argument where the
/// parts do not fit it.
void restoreWhole(const StateParts& parts, DenoiseState& state);

} // namespace canopy::accel
