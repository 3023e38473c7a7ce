#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy {

/// How the latent frames of a clip are denoised.
enum class SamplingMode : std::uint8_t {
    Whole,   ///< all together, bidirectional attention
    Chunked, ///< in blocks, each attending to itself and earlier ones, whose keys and values are kept
};
/// Which steps of a block repeat its last update instead of running the transformer. flow-cache.md 3 and 5.
enum class ReuseMethod : std::uint8_t {
    None,
    TeaCache,  ///< one decision for all blocks of a row
    FlowCache, ///< one for each block
};
/// What FlowCache takes for the change from step to step.
enum class ReuseFeature : std::uint8_t {
    Time,   ///< of the time embedding: a map known before sampling (SkyReels-V2's binding, 3.4)
    Latent, ///< of the block's own embedded latents (MAGI-1's binding, 3.3)
};
/// What a reused step repeats.
enum class ReusedQuantity : std::uint8_t {
    Velocity,  ///< the last velocity, over this step's own length
    Increment, ///< the last change of the latents, whatever the step's length: as published for MAGI-1
    Residual,  ///< what the transformer's layers added, per branch: as published for SkyReels-V2
};
/// What is done with a finished block's keys and values.
enum class FinalizeKv : std::uint8_t {
    None,  ///< they stay as the last computed step wrote them
    Clean, ///< one more pass at time 0 writes them anew
};

std::string_view samplingModeName(SamplingMode v);     ///< "whole", "chunked"
std::string_view reuseMethodName(ReuseMethod v);       ///< "none", "teacache", "flowcache"
std::string_view reuseFeatureName(ReuseFeature v);     ///< "time", "latent"
std::string_view reusedQuantityName(ReusedQuantity v); ///< "velocity", "increment", "residual"
std::string_view finalizeKvName(FinalizeKv v);         ///< "none", "clean"
std::optional<SamplingMode> samplingModeFromName(std::string_view name);
std::optional<ReuseMethod> reuseMethodFromName(std::string_view name);
std::optional<ReuseFeature> reuseFeatureFromName(std::string_view name);
std::optional<ReusedQuantity> reusedQuantityFromName(std::string_view name);
std::optional<FinalizeKv> finalizeKvFromName(std::string_view name);

/// Steps [first, end) of one block that are computed whatever the reuse says.
struct ForcedRange {
    int chunk = 0;
    int first = 0;
    int end = 0;
    bool operator==(const ForcedRange&) const = default;
};

/// Block-wise sampling. Blocks count from the start of the clip. Negative = "the default", which
/// withChunkDefaults() fills.
struct ChunkSettings {
    SamplingMode mode = SamplingMode::Whole;
    int blockFrames = 0; ///< latent frames; 0 = as the model was trained
    int arStep = -1;     ///< steps that a block is behind the one before it; 0 = all together; default: a
                         ///< block begins when the one before it is finished
    int segments = 0; ///< parts that are sampled one after the other; 0 = as few as the trained length asks
    int overlapFrames = -1; ///< latent frames that a later segment begins with; default: one block
    double addNoise = -1;   ///< time (0 .. 50) that given frames are noised to; default: 0
    ReuseMethod cache = ReuseMethod::None;
    ReuseFeature feature = ReuseFeature::Time;
    double threshold = -1; ///< accumulated change below which a step is reused
    double hitRate = -1;   ///< share of steps to be reused; chooses the threshold
    int warmup = -1; ///< first steps of each block, computed; default: 5, or a tenth of the steps if more
    ReusedQuantity quantity = ReusedQuantity::Velocity;
    int kvBudget = 0;       ///< blocks whose keys fit into memory; 0 = all
    bool kvWindow = false;  ///< baseline: forget the oldest block rather than squeeze finished ones
    double kvLambda = 0.07; ///< share of importance against redundancy when keys are chosen
    FinalizeKv finalize = FinalizeKv::Clean;
    std::vector<ForcedRange> forced;
    /// Polynomial of degree 4 from the change of time features to that of the output, highest power first;
    /// empty = the model's published or calibrated one.
    std::vector<double> rescale;
    int givenFrames = 0; ///< latent frames that a given video fills at the start; 0 = none
    int fromChunk = 0;   ///< blocks before it are taken from `basePath`
    /// Of an earlier clip of the same size, needed where fromChunk is above 0: its session file or its
    /// latents; for the worker always its latents.
    std::string basePath;

    bool operator==(const ChunkSettings&) const = default;
};

/// Map with one key per field: mode, block_frames, ar_step, segments, overlap_frames, add_noise, cache,
/// feature, threshold, hit_rate, warmup, quantity, kv_budget, kv_window, kv_lambda, finalize, forced (list of
/// [chunk, first, end]), rescale, given_frames, from_chunk, base. A missing key leaves the default; wrong
/// types and unknown names are an error.
Value toValue(const ChunkSettings& settings);
Result<ChunkSettings> chunkSettingsFromValue(const Value& value);

} // namespace canopy
