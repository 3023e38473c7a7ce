#include "accel/pipelines/video_features.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <vector>

#include "accel/models/llava/pool_cells.h"
#include "accel/pipelines/frames_file.h"
#include "accel/runtime/cancelled.h"
#include "core/base/clock.h"

namespace canopy::accel {
namespace {

/// Frames that pass the tower together: planMemory counts with the same.
int framesAtOnce(at::Device device) {
    return device.is_cuda() ? 16 : 4;
}

/// uint8 [t, S, S, 3] to the tower's input [t, 3, S, S]: / 255, less mean, by standard deviation.
at::Tensor normalised(const at::Tensor& frames, const LoadedQaModel& model) {
    const auto& record = model.record();
    const auto channels = [&](const std::vector<double>& values) {
        const std::vector<float> v(values.begin(), values.end());
        return at::tensor(v).to(model.device());
    };
    const auto pixels = frames.to(model.device()).to(at::kFloat) * (1.0 / 255.0);
    return ((pixels - channels(record.imageMean)) / channels(record.imageStd))
        .permute({0, 3, 1, 2})
        .to(model.dtype());
}

void computeTowerParts(LoadedQaModel& model, const at::Tensor& frames, const FeatureCall& call,
                       const std::function<double()>& clock, VideoFeatures& result) {
    const auto& llava = model.model(call.stop);
    const int count = static_cast<int>(frames.size(0));
    const int side = model.record().vision.gridSide();
    std::vector<at::Tensor> features, attention, keys;
    if (call.progress)
        call.progress(0, count);
    for (int first = 0; first < count; first += framesAtOnce(model.device())) {
        throwIfStopped(call.stop);
        const int together = std::min(framesAtOnce(model.device()), count - first);
        SiglipTower::Call towerCall;
        towerCall.wantsAttention = call.wantsAttention;
        towerCall.wantsKeys = call.wantsKeys;
        towerCall.stop = call.stop;
        double start = clock();
        const auto seen = llava.tower()(normalised(frames.narrow(0, first, together), model), towerCall);
        const double looked = clock();
        features.push_back(poolCells(llava.project(seen.hidden), side, call.pooling));
        if (call.wantsAttention)
            attention.push_back(
                poolCells(seen.extras.attention.unsqueeze(-1), side, call.pooling).squeeze(-1));
        if (call.wantsKeys)
            keys.push_back(poolCells(seen.extras.keys, side, call.pooling));
        result.visionSeconds += looked - start;
        result.projectSeconds += clock() - looked;
        if (call.progress)
            call.progress(first + together, count);
    }
    auto& tokens = result.tokens;
    tokens.features = at::cat(features);
    tokens.attention = attention.empty() ? at::Tensor() : at::cat(attention);
    tokens.keys = keys.empty() ? at::Tensor() : at::cat(keys);
}

} // namespace

VideoFeatures videoFeatures(LoadedQaModel& model, const at::Tensor& frames, const FeatureCall& call) {
    const auto clock = call.clock ? call.clock : std::function<double()>(&steadySeconds);
    const FeatureKey key{contentHash(frames), call.pooling};
    VideoFeatures result;
    const auto* known = model.features().find(key);
    result.cached = known && (!call.wantsAttention || known->attention.defined()) &&
                    (!call.wantsKeys || known->keys.defined());
    if (result.cached) {
        result.tokens = *known;
    } else {
        result.tokens.frames = static_cast<int>(frames.size(0));
        result.tokens.rows = result.tokens.columns = model.record().cellsPerSide(call.pooling);
        result.tokens.newlines = model.record().newlines;
        computeTowerParts(model, frames, call, clock, result);
    }
    const bool wantsPixels = call.wantsPixels && !result.tokens.pixelDifference.defined();
    if (wantsPixels)
        result.tokens.pixelDifference =
            pixelDifference(frames.to(model.device()), model.record().vision, call.pooling);
    if (!result.cached || wantsPixels)
        model.features().put(key, result.tokens);
    return result;
}

} // namespace canopy::accel
