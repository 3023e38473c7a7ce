#include "core/job/chunk_settings.h"

#include <algorithm>
#include <utility>

#include "core/job/setting_reader.h"

namespace canopy {
namespace {

constexpr std::string_view kModes[] = {"whole", "chunked"};
constexpr std::string_view kMethods[] = {"none", "teacache", "flowcache"};
constexpr std::string_view kFeatures[] = {"time", "latent"};
constexpr std::string_view kQuantities[] = {"velocity", "increment", "residual"};
constexpr std::string_view kFinalize[] = {"none", "clean"};

} // namespace

std::string_view samplingModeName(SamplingMode v) {
    return kModes[static_cast<std::size_t>(v)];
}
std::string_view reuseMethodName(ReuseMethod v) {
    return kMethods[static_cast<std::size_t>(v)];
}
std::string_view reuseFeatureName(ReuseFeature v) {
    return kFeatures[static_cast<std::size_t>(v)];
}
std::string_view reusedQuantityName(ReusedQuantity v) {
    return kQuantities[static_cast<std::size_t>(v)];
}
std::string_view finalizeKvName(FinalizeKv v) {
    return kFinalize[static_cast<std::size_t>(v)];
}
std::optional<SamplingMode> samplingModeFromName(std::string_view name) {
    return fromName<SamplingMode>(kModes, name);
}
std::optional<ReuseMethod> reuseMethodFromName(std::string_view name) {
    return fromName<ReuseMethod>(kMethods, name);
}
std::optional<ReuseFeature> reuseFeatureFromName(std::string_view name) {
    return fromName<ReuseFeature>(kFeatures, name);
}
std::optional<ReusedQuantity> reusedQuantityFromName(std::string_view name) {
    return fromName<ReusedQuantity>(kQuantities, name);
}
std::optional<FinalizeKv> finalizeKvFromName(std::string_view name) {
    return fromName<FinalizeKv>(kFinalize, name);
}

Value toValue(const ChunkSettings& s) {
    Value v{Value::Map{}};
    v.set("mode", samplingModeName(s.mode)).set("block_frames", s.blockFrames).set("ar_step", s.arStep);
    v.set("segments", s.segments).set("overlap_frames", s.overlapFrames).set("add_noise", s.addNoise);
    v.set("cache", reuseMethodName(s.cache)).set("feature", reuseFeatureName(s.feature));
    v.set("threshold", s.threshold).set("hit_rate", s.hitRate).set("warmup", s.warmup);
    v.set("quantity", reusedQuantityName(s.quantity)).set("kv_budget", s.kvBudget);
    v.set("kv_window", s.kvWindow).set("kv_lambda", s.kvLambda);
    v.set("given_frames", s.givenFrames);
    v.set("finalize", finalizeKvName(s.finalize)).set("from_chunk", s.fromChunk).set("base", s.basePath);
    if (!s.forced.empty()) {
        Value::Array forced;
        for (const auto& range : s.forced)
            forced.emplace_back(Value::Array{range.chunk, range.first, range.end});
        v.set("forced", std::move(forced));
    }
    if (!s.rescale.empty())
        v.set("rescale", Value::Array(s.rescale.begin(), s.rescale.end()));
    return v;
}

Result<ChunkSettings> chunkSettingsFromValue(const Value& value) {
    ChunkSettings s;
    SettingReader reader(value);
    std::vector<std::vector<double>> forced;
    reader.read("mode", kModes, s.mode);
    reader.read("block_frames", s.blockFrames);
    reader.read("ar_step", s.arStep);
    reader.read("segments", s.segments);
    reader.read("overlap_frames", s.overlapFrames);
    reader.read("add_noise", s.addNoise);
    reader.read("cache", kMethods, s.cache);
    reader.read("feature", kFeatures, s.feature);
    reader.read("threshold", s.threshold);
    reader.read("hit_rate", s.hitRate);
    reader.read("warmup", s.warmup);
    reader.read("quantity", kQuantities, s.quantity);
    reader.read("kv_budget", s.kvBudget);
    reader.read("kv_window", s.kvWindow);
    reader.read("kv_lambda", s.kvLambda);
    reader.read("finalize", kFinalize, s.finalize);
    reader.read("forced", forced);
    reader.read("rescale", s.rescale);
    reader.read("given_frames", s.givenFrames);
    reader.read("from_chunk", s.fromChunk);
    reader.read("base", s.basePath);
    if (!reader.problem().empty())
        return makeError(ErrorCode::Malformed, reader.problem());
    for (const auto& range : forced) {
        constexpr double kMost = 1 << 20;
        const bool whole = range.size() == 3 && std::all_of(range.begin(), range.end(), [](double n) {
                               return n >= 0 && n <= kMost && n == static_cast<int>(n);
                           });
        if (!whole)
            return makeError(ErrorCode::Malformed,
                             "A forced range is not three whole numbers (chunk, first step, end step); the "
                             "stored settings are damaged or not from this program.");
        s.forced.push_back(
            {static_cast<int>(range[0]), static_cast<int>(range[1]), static_cast<int>(range[2])});
    }
    return s;
}

} // namespace canopy
