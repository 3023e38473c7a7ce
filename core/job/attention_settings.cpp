#include "core/job/attention_settings.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/job/setting_reader.h"

namespace canopy {
namespace {

constexpr std::string_view kMethods[] = {"dense", "xattention", "svg2", "window", "topk"};
constexpr std::string_view kReuse[] = {"off", "tmr", "freeze", "every"};

constexpr std::int64_t kPublishedFrom = 32'000; ///< tokens
constexpr int kPublishedQueryClusters = 300;
constexpr int kPublishedKeyClusters = 1000;
constexpr int kMostWindowFrames = 1024;

std::string number(double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.10g", v);
    return text;
}

bool choosesBlocks(AttentionMethod method) {
    return method == AttentionMethod::XAttention || method == AttentionMethod::Svg2 ||
           method == AttentionMethod::TopK;
}

/// Above 0 and at most 1.
bool isShare(double v) {
    return v > 0 && v <= 1;
}

void checkClusters(const AttentionSettings& s, std::int64_t tokens, std::vector<std::string>& problems) {
    const auto check = [&](const char* what, int clusters) {
        if (clusters < 1 || clusters > tokens)
            problems.push_back("The attention has " + std::to_string(clusters) + " clusters of " + what +
                               "; choose from 1 to " + std::to_string(tokens) +
                               ", the number of this clip's video tokens.");
    };
    check("queries", s.queryClusters);
    check("keys", s.keyClusters);
    if (!(s.minimumShare >= 0 && s.minimumShare <= 1))
        problems.push_back("The least share of key clusters is " + number(s.minimumShare) +
                           "; choose a value from 0 to 1.");
}

void checkHeadTau(const AttentionSettings& s, std::vector<std::string>& problems) {
    if (!s.headTau.empty() && s.method != AttentionMethod::XAttention && s.method != AttentionMethod::Svg2)
        problems.push_back("Thresholds per head were given, which the attention \"" +
                           std::string(attentionMethodName(s.method)) +
                           "\" does not read; choose xattention or svg2.");
    for (const auto& layer : s.headTau) {
        if (std::all_of(layer.begin(), layer.end(), isShare))
            continue;
        problems.push_back("A threshold of a head is not above 0 and at most 1; make the thresholds anew.");
        return;
    }
}

void checkReuse(const AttentionSettings& s, std::vector<std::string>& problems) {
    if (s.reuse == MaskReuse::Every && s.refreshInterval < 1)
        problems.push_back("Choices are to be made anew every " + std::to_string(s.refreshInterval) +
                           " steps; choose 1 or more.");
    if (s.reuse != MaskReuse::Tmr)
        return;
    if (!(s.delta >= 0))
        problems.push_back("The drift threshold is " + number(s.delta) + "; choose 0 or more.");
    if (!(s.gateLow >= 0 && s.gateLow <= s.gateHigh && s.gateHigh <= 1))
        problems.push_back("The layer gate is " + number(s.gateLow) + "," + number(s.gateHigh) +
                           "; choose two shares from 0 to 1, the lower one first.");
    if (s.maxAge < 0)
        problems.push_back("The largest age of a reused choice is " + std::to_string(s.maxAge) +
                           " steps; choose 1 or more, or 0 for any.");
}

} // namespace

std::string_view attentionMethodName(AttentionMethod v) {
    return kMethods[static_cast<std::size_t>(v)];
}
std::string_view maskReuseName(MaskReuse v) {
    return kReuse[static_cast<std::size_t>(v)];
}
std::optional<AttentionMethod> attentionMethodFromName(std::string_view name) {
    return fromName<AttentionMethod>(kMethods, name);
}
std::optional<MaskReuse> maskReuseFromName(std::string_view name) {
    return fromName<MaskReuse>(kReuse, name);
}

AttentionSettings withAttentionDefaults(AttentionSettings s, std::int64_t tokens, int steps) {
    const auto scaled = [tokens](int perCluster, int published) {
        if (tokens >= kPublishedFrom)
            return published;
        return static_cast<int>(std::max<std::int64_t>(1, (tokens + perCluster - 1) / perCluster));
    };
    if (s.method == AttentionMethod::Svg2 && s.queryClusters < 0)
        s.queryClusters = scaled(128, kPublishedQueryClusters);
    if (s.method == AttentionMethod::Svg2 && s.keyClusters < 0)
        s.keyClusters = scaled(32, kPublishedKeyClusters);
    if (s.reuse == MaskReuse::Tmr && s.delta < 0)
        s.delta = s.method == AttentionMethod::Svg2 ? 8 : 30;
    if (choosesBlocks(s.method) && s.warmup < 0)
        s.warmup = static_cast<int>(std::lround(steps / 10.0));
    return s;
}

std::vector<std::string> checkAttention(const AttentionSettings& s, std::int64_t tokens, int steps) {
    std::vector<std::string> problems;
    if (s.method == AttentionMethod::Window && (s.windowFrames < 0 || s.windowFrames > kMostWindowFrames))
        problems.push_back("The attention window is " + std::to_string(s.windowFrames) +
                           " latent frames; choose from 0 to " + std::to_string(kMostWindowFrames) + ".");
    if (!choosesBlocks(s.method)) {
        checkHeadTau(s, problems);
        if (s.reuse != MaskReuse::Off)
            problems.push_back("The attention \"" + std::string(attentionMethodName(s.method)) +
                               "\" chooses nothing that could be reused; switch reuse off or choose "
                               "xattention, svg2 or topk.");
        return problems;
    }
    if (s.method == AttentionMethod::TopK && !isShare(s.keep))
        problems.push_back("The kept share of key blocks is " + number(s.keep) +
                           "; choose a value above 0, at most 1.");
    if (s.method != AttentionMethod::TopK && !isShare(s.tau))
        problems.push_back("Tau is " + number(s.tau) + "; choose a value above 0, at most 1 (all keys).");
    checkHeadTau(s, problems);
    if (s.method != AttentionMethod::Svg2 && s.stride != 8 && s.stride != 16)
        problems.push_back("The stride of the estimate is " + std::to_string(s.stride) +
                           "; choose 8 (finer) or 16 (faster).");
    if (s.method == AttentionMethod::Svg2)
        checkClusters(s, tokens, problems);
    checkReuse(s, problems);
    if (s.warmup < 0 || s.warmup >= steps)
        problems.push_back(std::to_string(s.warmup) + " of " + std::to_string(steps) +
                           " steps are to stay dense; choose from 0 to " + std::to_string(steps - 1) +
                           ", or the dense attention.");
    return problems;
}

Value toValue(const AttentionSettings& s) {
    Value v{Value::Map{}};
    v.set("method", attentionMethodName(s.method)).set("tau", s.tau).set("stride", s.stride);
    v.set("query_clusters", s.queryClusters).set("key_clusters", s.keyClusters);
    v.set("minimum_share", s.minimumShare).set("keep", s.keep).set("window_frames", s.windowFrames);
    if (!s.headTau.empty()) {
        Value::Array layers;
        for (const auto& heads : s.headTau)
            layers.emplace_back(Value::Array(heads.begin(), heads.end()));
        v.set("head_tau", std::move(layers));
    }
    v.set("reuse", maskReuseName(s.reuse)).set("refresh_interval", s.refreshInterval);
    v.set("delta", s.delta).set("gate_low", s.gateLow).set("gate_high", s.gateHigh);
    v.set("max_age", s.maxAge).set("hard_cap", s.hardCap).set("warmup", s.warmup);
    return v;
}

Result<AttentionSettings> attentionSettingsFromValue(const Value& value) {
    AttentionSettings s;
    SettingReader reader(value);
    reader.read("method", kMethods, s.method);
    reader.read("tau", s.tau);
    reader.read("head_tau", s.headTau);
    reader.read("stride", s.stride);
    reader.read("query_clusters", s.queryClusters);
    reader.read("key_clusters", s.keyClusters);
    reader.read("minimum_share", s.minimumShare);
    reader.read("keep", s.keep);
    reader.read("window_frames", s.windowFrames);
    reader.read("reuse", kReuse, s.reuse);
    reader.read("refresh_interval", s.refreshInterval);
    reader.read("delta", s.delta);
    reader.read("gate_low", s.gateLow);
    reader.read("gate_high", s.gateHigh);
    reader.read("max_age", s.maxAge);
    reader.read("hard_cap", s.hardCap);
    reader.read("warmup", s.warmup);
    if (!reader.problem().empty())
        return makeError(ErrorCode::Malformed, reader.problem());
    return s;
}

} // namespace canopy
