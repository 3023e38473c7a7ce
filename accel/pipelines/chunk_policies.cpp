#include "accel/pipelines/chunk_policies.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "accel/policies/cache/latent_feature_l1.h"
#include "accel/policies/cache/tea_cache_row.h"
#include "accel/runtime/job_error.h"
#include "core/job/chunk_flop.h"
#include "core/job/own_reuse.h"

namespace canopy::accel {

namespace {

bool readsTime(const ChunkSettings& s) {
    return s.cache == ReuseMethod::TeaCache ||
           (s.cache == ReuseMethod::FlowCache && s.feature == ReuseFeature::Time);
}

at::Tensor timesteps(const std::vector<double>& times) {
    std::vector<float> values(times.begin(), times.end());
    return at::tensor(values, at::TensorOptions(at::kFloat));
}

/// By the label of core/formats/known_models, which only the public checkpoints get.
std::optional<RescaledCheckpoint> publishedFor(const ModelDefaults& model) {
    if (model.label.starts_with(kPublishedReuse1_3B))
        return RescaledCheckpoint::Forcing1_3B;
    if (model.label.starts_with(kPublishedReuse14B))
        return RescaledCheckpoint::Forcing14B;
    return std::nullopt;
}

std::string policyName(const ChunkSettings& s) {
    switch (s.cache) {
    case ReuseMethod::None:
        return "always";
    case ReuseMethod::TeaCache:
        return "teacache";
    case ReuseMethod::FlowCache:
        break;
    }
    return s.feature == ReuseFeature::Time ? "static_timestep" : "latent_feature";
}

std::vector<ForcedSteps> forcedOf(const ChunkSettings& settings, int firstChunk) {
    std::vector<ForcedSteps> forced;
    for (const auto& range : settings.forced)
        forced.push_back({range.chunk - firstChunk, range.first, range.end});
    return forced;
}

} // namespace

RescalePolynomial rescaleFor(const GenerationRequest& request, const ModelDefaults& model) {
    const auto& given = request.chunks.rescale;
    RescalePolynomial polynomial;
    if (given.size() == polynomial.coefficients.size()) {
        std::copy(given.begin(), given.end(), polynomial.coefficients.begin());
        return polynomial;
    }
    if (!readsTime(request.chunks))
        return polynomial;
    if (const auto checkpoint = publishedFor(model))
        return publishedPolynomial(*checkpoint, TimeFeature::Projection);
    throw JobError(makeError(
        ErrorCode::InvalidArgument,
        "No calibration of reuse is known for this model, so its steps cannot be judged by their time. Run "
        "canopy-cli calibrate --cache for it, or choose FlowCache with the feature \"latent\"."));
}

StaticMap staticReuse(const WanDit& dit, const FlowSchedule& schedule, int fpsIndex,
                      const RescalePolynomial& rescale, ChunkSettings& settings) {
    if (settings.cache != ReuseMethod::FlowCache || settings.feature != ReuseFeature::Time)
        return {};
    const auto device = dit.device();
    const auto features = dit.timeModulation(timesteps(schedule.timesteps).to(device), fpsIndex);
    std::vector<at::Tensor> perStep;
    for (std::int64_t k = 0; k < features.size(0); ++k)
        perStep.push_back(features[k]);
    const auto changes = timestepChanges(perStep, rescale);
    const StaticSettings ends{settings.warmup, 1};
    if (settings.hitRate >= 0) {
        settings.threshold = thresholdForHitRate(changes, settings.hitRate, ends);
        settings.hitRate = -1;
    }
    return staticMap(changes, settings.threshold, ends);
}

std::unique_ptr<RowPolicy> makeChunkPolicy(const ChunkSettings& settings, const WanDit& dit,
                                           const ChunkSampling& sampling, const ChunkedState& state,
                                           int fpsIndex, const RescalePolynomial& rescale,
                                           const StaticMap& map, int firstChunk) {
    const int lastRow = static_cast<int>(sampling.plan.rows.size()) - 1;
    auto forced = forcedOf(settings, firstChunk);
    if (settings.cache == ReuseMethod::None)
        return nullptr;
    if (settings.cache == ReuseMethod::TeaCache) {
        auto feature = [&dit, &sampling, fpsIndex](const RowInfo& row) {
            std::vector<double> times;
            for (const auto& call : sampling.plan.rows[static_cast<std::size_t>(row.row)])
                times.push_back(call.time);
            return dit.timeModulation(timesteps(times).to(dit.device()), fpsIndex);
        };
        return std::make_unique<TeaCacheRow>(
            TeaCacheSettings{settings.threshold, settings.warmup, lastRow, std::move(forced), rescale},
            std::move(feature));
    }
    if (settings.feature == ReuseFeature::Time)
        return std::make_unique<StaticTimestepL1>(map, std::move(forced));
    auto feature = [&dit, &state, frames = sampling.chunkFrames](const ChunkStep& step) {
        return dit.embedPatches(state.latents.narrow(1, std::int64_t{step.chunk} * frames, frames));
    };
    return std::make_unique<LatentFeatureL1>(
        LatentFeatureSettings{settings.threshold, settings.warmup, lastRow, std::move(forced)},
        std::move(feature));
}

ChunkSampling chunkSampling(const GenerationRequest& request, const ChunkLayout& layout,
                            const ChunkSegment& segment, const FlowSchedule& schedule,
                            std::int64_t tokensPerFrame) {
    const auto& settings = request.chunks;
    ChunkSampling sampling;
    sampling.sampler = request.sampler;
    sampling.schedule = schedule;
    sampling.chunkFrames = layout.chunkFrames;
    DiffusionForcingSetting forcing;
    forcing.frames = segment.chunks * layout.chunkFrames;
    forcing.baseFrames = forcing.frames;
    forcing.arStep = settings.arStep;
    forcing.prefixFrames = segment.prefixChunks * layout.chunkFrames;
    forcing.causalBlockFrames = layout.chunkFrames;
    sampling.plan = forcingChunkPlan(forcing, schedule.timesteps);
    // As in SkyReels-V2's own pipeline, which runs blocks that overlap in time.
    sampling.remembersFirstResult = settings.arStep < request.steps;
    sampling.quantity = settings.quantity;
    sampling.finalize = settings.finalize;
    sampling.capacityChunks = layout.capacityChunks;
    sampling.kvWindow = settings.kvWindow;
    sampling.compression.lambda = settings.kvLambda;
    sampling.compression.frameTokens = tokensPerFrame;
    sampling.compression.chunkTokens = tokensPerFrame * layout.chunkFrames;
    sampling.givenTime = settings.addNoise;
    return sampling;
}

ChunkRun chunkRun(const GenerationRequest& request, const ChunkLayout& layout, const WanDit& dit,
                  const TokenGrid& frame, int textTokens, const FlowSchedule& schedule,
                  const StaticMap& map) {
    const auto& settings = request.chunks;
    ChunkRun run;
    run.policy = policyName(settings);
    run.quantity = std::string(reusedQuantityName(settings.quantity));
    run.finalize = std::string(finalizeKvName(settings.finalize));
    run.steps = request.steps;
    run.chunks = layout.chunks;
    run.arStep = settings.arStep;
    run.chunkFrames = layout.chunkFrames;
    run.tokenRows = frame.rows;
    run.tokenColumns = frame.columns;
    run.layers = dit.config().layers;
    run.heads = dit.config().heads;
    run.branches = request.guidance != 1.0 ? 2 : 1;
    run.warmup = settings.cache == ReuseMethod::None ? 0 : settings.warmup;
    run.threshold = settings.cache == ReuseMethod::None ? 0 : settings.threshold;
    run.kvBudgetChunks = settings.kvBudget;
    run.kvLambda = settings.kvLambda;
    run.kvWindow = settings.kvWindow;
    run.times = schedule.timesteps;
    run.staticReuse = map.reuse;
    run.staticSums = map.accumulated;
    run.segments = layout.segments;
    for (const auto& segment : layout.segments)
        run.rows += static_cast<int>(
            chunkSampling(request, layout, segment, schedule, frame.tokensPerFrame()).plan.rows.size());
    const auto flop = chunkFlop(dit.config(), run.chunkTokens(), textTokens);
    run.flopPerChunkStep = flop.linear;
    run.flopPerContextChunk = flop.context;
    return run;
}

} // namespace canopy::accel
