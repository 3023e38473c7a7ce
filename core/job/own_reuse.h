#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/formats/model_config.h"
#include "core/job/generation_request.h"

namespace canopy {

/// Labels (core/formats/known_models) of the checkpoints that a polynomial was published for.
inline constexpr std::string_view kPublishedReuse1_3B = "SkyReels-V2 DF 1.3B";
inline constexpr std::string_view kPublishedReuse14B = "SkyReels-V2 DF 14B";

/// Why the request's reuse cannot be judged, in words: it goes by time, brings no polynomial, and none was
/// published for the model. Empty = it can.
std::string reuseProblem(const GenerationRequest& request, const ModelDefaults& model);

/// Takes the polynomial of a calibration that lies beside the model's weights (kReuseCalibrationFile) into a
/// request with filled settings that judges reuse by time and brings no polynomial. Other requests, and those
/// for models without such a file, stay as they are. A damaged file or one of another model is an error.
Result<void> takeReuseCalibration(GenerationRequest& request, const ModelRecord& model);

} // namespace canopy
