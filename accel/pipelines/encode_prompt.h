#pragma once

#include <ATen/core/Tensor.h>

#include <stop_token>
#include <string>

#include "accel/pipelines/loaded_model.h"
#include "core/job/generation_request.h"

namespace canopy::accel {

/// Cleaned, tokenized and encoded by the model's text encoder: [Lt, text dim]. Loads the encoder when it is
/// not there. Throws JobError, Cancelled.
at::Tensor encodePrompt(LoadedModel& model, const std::string& prompt, const std::stop_token& stop);

/// Index 0 is 16 frames a second, 1 any other rate; a model's own record wins for its own rate.
int fpsIndexOf(const GenerationRequest& request, const ModelDefaults& defaults);

} // namespace canopy::accel
