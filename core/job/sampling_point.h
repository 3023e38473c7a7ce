#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/formats/safetensors.h"
#include "core/job/generation_request.h"

namespace canopy {

/// Where sampling stands between two rows: what a saved state says of itself.
struct SamplingPoint {
    int row = 0; ///< the next one, counted over the clip from 0
    int rows = 0;
    int chunk = 0;  ///< the newest that has begun, counted from 0
    int chunks = 0; ///< 0 = the whole clip moves together
    int step = 0;   ///< steps that this chunk has made
    int steps = 0;
    /// The state is all there is, so the clip ends with the bits of one that was never stopped. False: keys
    /// and values were too many and are written anew at `row`, as in a run with a checkpoint there.
    bool exact = true;
    bool operator==(const SamplingPoint&) const = default;
};

Value toValue(const SamplingPoint& point);
Result<SamplingPoint> samplingPointFromValue(const Value& value);
/// "step 48 of 100 (block 3 of 5, its step 8 of 20)"; counts what comes next, as a person does.
std::string pointWords(const SamplingPoint& point);

// A state file is a safetensors file with these keys in its metadata.
inline constexpr int kStateVersion = 1;
inline constexpr std::string_view kStateVersionKey = "canopy_state_version";
inline constexpr std::string_view kStatePointKey = "canopy_state_point";
inline constexpr std::string_view kStateRequestKey = "canopy_state_request"; ///< stateIdentity()
inline constexpr std::string_view kStateValuesKey = "canopy_state_values";   ///< JSON, the engine's own

/// What must be equal for a state to go on: all that decides the latents, as JSON text; neither places of
/// files nor the machine.
std::string stateIdentity(const GenerationRequest& request);

/// The point of a state's metadata. Malformed for other files, Unsupported for a newer version.
Result<SamplingPoint> statePoint(const SafetensorsHeader& header);

} // namespace canopy
