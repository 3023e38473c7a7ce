#pragma once

#include "core/base/result.h"
#include "core/formats/model_config.h"
#include "core/job/generation_request.h"

namespace canopy {

/// Takes the polynomial of a calibration that lies beside the model's weights (kReuseCalibrationFile) into a
/// request with filled settings that judges reuse by time and brings no polynomial. Other requests, and those
/// for models without such a file, stay as they are. A damaged file or one of another model is an error.
Result<void> takeReuseCalibration(GenerationRequest& request, const ModelRecord& model);

} // namespace canopy
