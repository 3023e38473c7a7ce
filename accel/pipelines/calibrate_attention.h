#pragma once

#include <functional>
#include <stop_token>

#include "accel/pipelines/loaded_model.h"
#include "accel/runtime/calibration_observer.h"
#include "core/job/calibration_request.h"

namespace canopy::accel {

struct CalibrationOptions {
    std::function<void()> pace;          ///< after each block; see DenoiseEvents
    std::function<void()> releaseMemory; ///< returns cached memory after the text encoder; may be empty
};

/// Measures every head of the model at its samples (calibrationSamples()) but those in `request.measured`.
/// sparse-attention.md 5.2.
///
/// For each prompt a dense run is made up to the last step that is needed. At a sampled step the velocity of
/// the prompt's branch is calculated once more, layer by layer; in front of each layer whose heads are
/// measured here, the residual stream is forked: that layer's attention is repeated with one head sparse and
/// all others dense, the layers above run from there, and the error is taken of the velocity at the end.
/// Candidates that keep the same keys are run once. Choices are made fresh (no reuse; SVG2 clusters from a
/// cold start). Profile runs no forks.
///
/// `request` is resolved and checked. Throws JobError, NumericError, Cancelled and LibTorch's errors; all
/// that was told to the observer before stays good.
void calibrateAttention(LoadedModel& model, const CalibrationRequest& request,
                        const CalibrationOptions& options, CalibrationObserver& observer,
                        const std::stop_token& stop);

} // namespace canopy::accel
