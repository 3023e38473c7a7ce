#include "core/job/settings_comparison.h"

#include <array>
#include <cstdio>
#include <map>
#include <string_view>

#include "core/job/settings_schema.h"

namespace canopy {
namespace {

/// Settings that do not decide the picture, or are told in other words.
constexpr std::array<std::string_view, 9> kLeftOut = {"version", "model_path",   "threads",
                                                      "memory",  "image_pixels", "resume_latents",
                                                      "fps",     "attention",    "chunks"};

struct Named {
    std::string_view key;
    std::string_view label;
};
/// What the schema has no row for.
constexpr Named kNames[] = {
    {"noise_scheme", "First noise"},
    {"kernel_set", "Kernels"},
    {"method", "Attention"},
    {"tau", "Mass kept (tau)"},
    {"head_tau", "Thresholds"},
    {"stride", "Stride of the estimate"},
    {"query_clusters", "Query clusters"},
    {"key_clusters", "Key clusters"},
    {"minimum_share", "Least share of clusters"},
    {"keep", "Blocks kept"},
    {"window_frames", "Window, latent frames"},
    {"reuse", "Mask reuse"},
    {"refresh_interval", "Refresh interval"},
    {"delta", "Drift threshold"},
    {"gate_low", "Layer gate, low"},
    {"gate_high", "Layer gate, high"},
    {"max_age", "Oldest reused mask"},
    {"hard_cap", "Hard cap"},
    {"warmup", "Dense steps first"},
    {"mode", "Made"},
    {"block_frames", "Block, latent frames"},
    {"ar_step", "Lag between blocks, steps"},
    {"segments", "Segments"},
    {"overlap_frames", "Overlap of segments"},
    {"add_noise", "Given frames noised to"},
    {"given_frames", "Given latent frames"},
    {"from_chunk", "Made from block"},
    {"cache", "Reuse of steps"},
    {"feature", "Change judged by"},
    {"threshold", "Threshold of change"},
    {"hit_rate", "Share of steps reused"},
    {"cache_warmup", "Steps never reused first"},
    {"quantity", "What is repeated"},
    {"rescale", "Polynomial of reuse"},
    {"forced", "Forced steps, ranges"},
    {"kv_budget", "Memory of keys, blocks"},
    {"kv_window", "Oldest keys forgotten"},
    {"kv_lambda", "Importance of keys"},
    {"finalize", "Finished keys"},
};

std::string labelOf(std::string_view key) {
    for (const auto& [name, label] : kNames)
        if (name == key)
            return std::string(label);
    if (const SettingInfo* info = findSetting(key))
        return std::string(info->label);
    std::string words(key); // a setting that came later: its own name
    for (char& c : words)
        if (c == '_')
            c = ' ';
    if (!words.empty() && words[0] >= 'a' && words[0] <= 'z')
        words[0] = static_cast<char>(words[0] - 'a' + 'A');
    return words;
}

std::string wordsOf(const Value& value) {
    if (value.isNull())
        return "none";
    if (value.isBool())
        return value.asBool() ? "on" : "off";
    if (value.isInt())
        return std::to_string(value.asInt());
    if (value.isDouble()) {
        char text[32];
        std::snprintf(text, sizeof text, "%.6g", value.asDouble());
        return text;
    }
    const std::string& text = value.asString();
    if (text == "xattention")
        return "XAttention";
    if (text == "svg2")
        return "SVG2";
    if (text == "tmr")
        return "TMR";
    if (text == "flowcache")
        return "FlowCache";
    if (text == "teacache")
        return "TeaCache";
    return text.empty() ? "none" : text;
}

/// Members of the attention that its method uses.
Value::Map usedAttention(const AttentionSettings& s) {
    Value::Map all = toValue(s).asMap();
    Value::Map used;
    const auto take = [&](std::initializer_list<std::string_view> keys) {
        for (const auto key : keys)
            if (const auto found = all.find(key); found != all.end())
                used.insert(*found);
    };
    using enum AttentionMethod;
    take({"method"});
    if (s.method == Window)
        take({"window_frames"});
    if (s.method == Dense || s.method == Window)
        return used;
    take({"reuse", "warmup"});
    if (s.method != TopK && s.headTau.empty())
        take({"tau"});
    else if (s.method != TopK)
        used.emplace("head_tau", "one per head");
    if (s.method == TopK)
        take({"keep"});
    if (s.method == Svg2)
        take({"query_clusters", "key_clusters", "minimum_share"});
    else
        take({"stride"});
    if (s.reuse == MaskReuse::Tmr)
        take({"delta", "gate_low", "gate_high", "max_age", "hard_cap"});
    if (s.reuse == MaskReuse::Every)
        take({"refresh_interval"});
    return used;
}

/// Members that a clip made in blocks uses, with values as they are told.
Value::Map usedChunks(const ChunkSettings& s) {
    Value::Map used;
    if (s.mode != SamplingMode::Chunked) {
        used.emplace("mode", "whole");
        return used;
    }
    used.emplace("mode", "in blocks");
    used.emplace("block_frames", s.blockFrames);
    used.emplace("ar_step", s.arStep);
    used.emplace("segments", s.segments > 0 ? Value(s.segments) : Value("as few as possible"));
    used.emplace("overlap_frames", s.overlapFrames);
    used.emplace("add_noise", s.addNoise);
    used.emplace("given_frames", s.givenFrames);
    used.emplace("from_chunk", s.fromChunk);
    used.emplace("finalize", s.finalize == FinalizeKv::Clean ? "passed once more, clean" : "as written");
    if (s.cache != ReuseMethod::None) {
        used.emplace("cache", std::string(reuseMethodName(s.cache)));
        used.emplace("cache_warmup", s.warmup);
        used.emplace("quantity", std::string(reusedQuantityName(s.quantity)));
        used.emplace("forced", static_cast<std::int64_t>(s.forced.size()));
        if (s.cache == ReuseMethod::FlowCache)
            used.emplace("feature", std::string(reuseFeatureName(s.feature)));
        if (s.hitRate >= 0)
            used.emplace("hit_rate", s.hitRate);
        else
            used.emplace("threshold", s.threshold);
        if (!s.rescale.empty())
            used.emplace("rescale", "from its calibration");
    }
    if (s.kvBudget > 0) {
        used.emplace("kv_budget", s.kvBudget);
        used.emplace("kv_window", s.kvWindow);
        if (!s.kvWindow)
            used.emplace("kv_lambda", s.kvLambda);
    }
    return used;
}

/// All settings that are told, in one level.
Value::Map told(const GenerationRequest& r) {
    const Value whole = toValue(r);
    Value::Map out = usedAttention(r.attention);
    out.merge(usedChunks(r.chunks));
    for (const auto& [key, value] : whole.asMap()) {
        bool leftOut = false;
        for (const auto name : kLeftOut)
            leftOut = leftOut || name == key;
        if (leftOut)
            continue;
        if (value.isMap())
            out.insert(value.asMap().begin(), value.asMap().end());
        else
            out.emplace(key, value);
    }
    return out;
}

GenerationRequest withoutRounding(GenerationRequest r) {
    const GenerationRequest none;
    r.modelPath.clear();
    r.precision = none.precision;
    r.device = none.device;
    r.threads = none.threads;
    r.vaeTiling = none.vaeTiling;
    r.memoryBudgetGb = none.memoryBudgetGb;
    r.kernelSet.clear();
    r.imagePixelsPath.clear();
    r.resumeLatentsPath.clear();
    r.resumeStatePath.clear();
    return r;
}

} // namespace

bool isAccelerated(const GenerationRequest& request) {
    const ChunkSettings& chunks = request.chunks;
    return request.attention.method != AttentionMethod::Dense ||
           (chunks.mode == SamplingMode::Chunked &&
            (chunks.cache != ReuseMethod::None || chunks.kvBudget > 0 ||
             chunks.finalize != FinalizeKv::Clean));
}

GenerationRequest denseTwin(GenerationRequest r) {
    r.attention = {};
    const ChunkSettings none;
    ChunkSettings& chunks = r.chunks;
    chunks.cache = none.cache;
    chunks.feature = none.feature;
    chunks.threshold = none.threshold;
    chunks.hitRate = none.hitRate;
    chunks.warmup = none.warmup;
    chunks.quantity = none.quantity;
    chunks.rescale.clear();
    chunks.forced.clear();
    chunks.kvBudget = none.kvBudget;
    chunks.kvWindow = none.kvWindow;
    chunks.kvLambda = none.kvLambda;
    chunks.finalize = none.finalize;
    r.kernelSet.clear();
    r.imagePixelsPath.clear();
    r.resumeLatentsPath.clear();
    r.resumeStatePath.clear();
    return r;
}

bool isSameShot(const GenerationRequest& a, const GenerationRequest& b) {
    return withoutRounding(denseTwin(a)) == withoutRounding(denseTwin(b));
}

bool isRounding(const GenerationRequest& a, const GenerationRequest& b) {
    return !isAccelerated(a) && !isAccelerated(b) && isSameShot(a, b) &&
           (a.precision != b.precision || a.device != b.device || a.threads != b.threads ||
            a.kernelSet != b.kernelSet);
}

GenerationRequest roundedTwin(const GenerationRequest& dense) {
    GenerationRequest r = denseTwin(dense);
    r.precision = r.precision == Precision::Float32 ? Precision::BFloat16 : Precision::Float32;
    return r;
}

SettingsComparison compareSettings(const GenerationRequest& a, const GenerationRequest& b) {
    const Value::Map left = told(a), right = told(b);
    const Value none;
    std::map<std::string, std::pair<const Value*, const Value*>, std::less<>> both;
    for (const auto& [key, value] : left)
        both[key] = {&value, &none};
    for (const auto& [key, value] : right) {
        auto& pair = both.try_emplace(key, &none, &none).first->second;
        pair.second = &value;
    }
    SettingsComparison out;
    const auto compare = [&](std::string_view key) {
        const auto found = both.find(key);
        if (found == both.end())
            return;
        const auto& [x, y] = found->second;
        if (*x == *y)
            out.equal.push_back(labelOf(key));
        else
            out.differences.push_back({labelOf(key), wordsOf(*x), wordsOf(*y)});
        both.erase(found);
    };
    for (const auto& name : kNames) // what saves work stands first
        if (name.key != "noise_scheme" && name.key != "kernel_set")
            compare(name.key);
    for (const SettingInfo& info : settingsSchema())
        compare(info.key);
    while (!both.empty())
        compare(std::string(both.begin()->first));
    return out;
}

} // namespace canopy
