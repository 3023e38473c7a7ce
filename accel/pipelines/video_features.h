#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <stop_token>

#include "accel/nn/token_hooks.h"
#include "accel/pipelines/loaded_qa_model.h"

namespace canopy::accel {

struct FeatureCall {
    HostPooling pooling = HostPooling::Bilinear;
    bool wantsAttention = false;
    bool wantsKeys = false;
    bool wantsPixels = false;
    std::function<void(int done, int frames)> progress;
    std::function<double()> clock; ///< seconds, once the device is idle; steady clock when empty
    std::stop_token stop;
};

struct VideoFeatures {
    VideoTokens tokens;
    bool cached = false; ///< the tower did not run
    double visionSeconds = 0;
    double projectSeconds = 0; ///< projector and pooling
};

/// Features of sampled frames (uint8 [T, S, S, 3] on the CPU): normalised, through tower, projector and
/// pooling a few frames at a time; from the model's cache where it has them with all that is asked for.
VideoFeatures videoFeatures(LoadedQaModel& model, const at::Tensor& frames, const FeatureCall& call);

} // namespace canopy::accel
