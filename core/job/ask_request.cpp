#include "core/job/ask_request.h"

#include <algorithm>
#include <array>

#include "core/job/setting_reader.h"

namespace canopy {
namespace {

using Kind = TokenModeKind;

constexpr std::array kModes = {
    TokenModeInfo{TokenMode::All, Kind::Unpruned, "all", "All tokens", "Nothing is pruned.", false, true},
    TokenModeInfo{TokenMode::ForestCode, Kind::Forest, "forest_code", "ForestPrune (code)",
                  "Token forests as the public code builds them: de-duplicated roots, then the first frames "
                  "of each tree.",
                  false, true},
    TokenModeInfo{TokenMode::ForestPaper, Kind::Forest, "forest_paper", "ForestPrune (paper)",
                  "Token forests as the paper describes them: leaves of deep trees go first, roots last.",
                  false, true},
    TokenModeInfo{TokenMode::ForestBalanced, Kind::Forest, "forest_balanced", "Balanced forest",
                  "Canopy's own variant: roots first, then novel tokens spread over all frames.", false,
                  true},
    TokenModeInfo{TokenMode::GPrune, Kind::Rival, "gprune", "G-Prune",
                  "The forests' candidate choice alone, frame by frame.", false, true},
    TokenModeInfo{TokenMode::FrameFusion, Kind::Rival, "framefusion", "FrameFusion",
                  "Merges tokens that repeat from frame to frame, then drops unattended ones, inside the "
                  "language model.",
                  true, false},
    TokenModeInfo{TokenMode::FastVid, Kind::Rival, "fastvid", "FastVID",
                  "Cuts the video into segments and merges each by density peaks.", false, false},
    TokenModeInfo{TokenMode::HoliTom, Kind::Rival, "holitom", "HoliTom",
                  "Keeps one copy of what stands still, then the most attended tokens.", false, false},
    TokenModeInfo{TokenMode::VisionZip, Kind::Rival, "visionzip", "VisionZip",
                  "Keeps the most attended tokens of each frame and merges the others.", false, false},
    TokenModeInfo{TokenMode::FastV, Kind::Rival, "fastv", "FastV",
                  "Drops tokens that the question does not look at after two layers of the language model.",
                  true, false},
    TokenModeInfo{TokenMode::DyCoke, Kind::Rival, "dycoke", "DyCoke (temporal)",
                  "Drops what resembles the frame before; at least a quarter always stays.", false, false},
    TokenModeInfo{TokenMode::UniformRandom, Kind::Control, "uniform_random", "Uniform random",
                  "Any cells, chosen by the seed.", false, true},
    TokenModeInfo{TokenMode::Stride, Kind::Control, "stride", "Stride",
                  "Every n-th cell, shifted from frame to frame.", false, false},
    TokenModeInfo{TokenMode::FrameSkip, Kind::Control, "frame_skip", "Fewer frames",
                  "Whole frames, evenly spread.", false, false},
    TokenModeInfo{TokenMode::RegionCycle, Kind::Control, "region_cycle", "Region cycle",
                  "A fixed pattern of regions that changes with the frame; looks at no picture.", false,
                  false},
    TokenModeInfo{TokenMode::PixelDiff, Kind::Control, "pixel_diff", "Pixel difference",
                  "Cells whose pixels changed since the frame before, by chance weighted with the change.",
                  false, false},
};

constexpr std::string_view kNewlines[] = {"auto", "all_rows", "nonempty_rows", "per_frame", "none"};
constexpr std::string_view kAccounting[] = {"cells", "all_tokens"};
constexpr std::string_view kPositions[] = {"auto", "repacked", "original"};
constexpr std::string_view kSampling[] = {"index", "time"};
constexpr std::string_view kPooling[] = {"auto", "bilinear", "average"};

template <typename T>
Value listOf(const std::vector<T>& items) {
    return Value::Array(items.begin(), items.end());
}

Result<std::vector<QaTurn>> historyFromValue(const Value& value) {
    std::vector<QaTurn> turns;
    for (const Value& item : value.asArray()) {
        if (!item["question"].isString() || !item["answer"].isString())
            return makeError(ErrorCode::Malformed,
                             "The setting \"history\" is not a list of questions and answers; the stored "
                             "settings are damaged or not from this program.");
        turns.push_back({item["question"].asString(), item["answer"].asString()});
    }
    return turns;
}

} // namespace

std::span<const TokenModeInfo> tokenModes() {
    return kModes;
}
const TokenModeInfo& tokenModeInfo(TokenMode mode) {
    return *std::find_if(kModes.begin(), kModes.end(), [&](const auto& info) { return info.mode == mode; });
}
std::string_view tokenModeName(TokenMode mode) {
    return tokenModeInfo(mode).name;
}
std::optional<TokenMode> tokenModeFromName(std::string_view name) {
    for (const auto& info : kModes)
        if (info.name == name)
            return info.mode;
    return std::nullopt;
}

std::string_view newlinePolicyName(NewlinePolicy v) {
    return kNewlines[static_cast<std::size_t>(v)];
}
std::string_view budgetAccountingName(BudgetAccounting v) {
    return kAccounting[static_cast<std::size_t>(v)];
}
std::string_view positionPolicyName(PositionPolicy v) {
    return kPositions[static_cast<std::size_t>(v)];
}
std::string_view frameSamplingName(FrameSampling v) {
    return kSampling[static_cast<std::size_t>(v)];
}
std::string_view tokenPoolingName(TokenPooling v) {
    return kPooling[static_cast<std::size_t>(v)];
}
std::optional<NewlinePolicy> newlinePolicyFromName(std::string_view name) {
    return fromName<NewlinePolicy>(kNewlines, name);
}
std::optional<BudgetAccounting> budgetAccountingFromName(std::string_view name) {
    return fromName<BudgetAccounting>(kAccounting, name);
}
std::optional<PositionPolicy> positionPolicyFromName(std::string_view name) {
    return fromName<PositionPolicy>(kPositions, name);
}
std::optional<FrameSampling> frameSamplingFromName(std::string_view name) {
    return fromName<FrameSampling>(kSampling, name);
}
std::optional<TokenPooling> tokenPoolingFromName(std::string_view name) {
    return fromName<TokenPooling>(kPooling, name);
}

Value toValue(const TokenSettings& s) {
    Value v{Value::Map{}};
    v.set("mode", tokenModeName(s.mode)).set("keep", s.keep);
    v.set("tau_s", s.semanticThreshold).set("tau_sp", s.spatialThreshold).set("rho", s.candidateShare);
    v.set("seed", s.seed).set("newlines", newlinePolicyName(s.newlines));
    v.set("accounting", budgetAccountingName(s.accounting));
    v.set("positions", positionPolicyName(s.positions));
    return v;
}

Result<TokenSettings> tokenSettingsFromValue(const Value& value) {
    TokenSettings s;
    SettingReader reader(value);
    reader.read("mode", tokenModeFromName, s.mode);
    reader.read("keep", s.keep);
    reader.read("tau_s", s.semanticThreshold);
    reader.read("tau_sp", s.spatialThreshold);
    reader.read("rho", s.candidateShare);
    reader.read("seed", s.seed);
    reader.read("newlines", kNewlines, s.newlines);
    reader.read("accounting", kAccounting, s.accounting);
    reader.read("positions", kPositions, s.positions);
    if (!reader.problem().empty())
        return makeError(ErrorCode::Malformed, reader.problem());
    return s;
}

Value toValue(const AskRequest& r) {
    Value v{Value::Map{}};
    v.set("version", AskRequest::kVersion).set("video", r.videoPath).set("question", r.question);
    v.set("options", listOf(r.options));
    Value history{Value::Array{}};
    for (const QaTurn& turn : r.history)
        history.push(Value{}.set("question", turn.question).set("answer", turn.answer));
    v.set("history", std::move(history));
    v.set("model", r.modelId).set("model_path", r.modelPath);
    v.set("frames", r.frames).set("sampling", frameSamplingName(r.sampling));
    v.set("tokens", toValue(r.tokens)).set("pooling", tokenPoolingName(r.pooling));
    if (r.timeInstruction)
        v.set("time_instruction", *r.timeInstruction);
    v.set("max_new_tokens", r.maxNewTokens).set("precision", precisionName(r.precision));
    v.set("device", deviceName(r.device)).set("threads", r.threads).set("memory", r.memoryBudgetGb);
    v.set("kernel_set", r.kernelSet).set("video_notes", listOf(r.videoNotes));
    if (!r.framesFile.empty()) {
        v.set("frames_file", r.framesFile).set("frame_index", listOf(r.frameIndex));
        v.set("frame_seconds", listOf(r.frameSeconds)).set("video_seconds", r.videoSeconds);
    }
    return v;
}

Result<AskRequest> askRequestFromValue(const Value& value) {
    if (auto readable = checkSettingsVersion(value, AskRequest::kVersion); !readable)
        return readable.error();
    AskRequest r;
    SettingReader reader(value);
    reader.read("video", r.videoPath);
    reader.read("question", r.question);
    reader.read("options", r.options);
    reader.read("model", r.modelId);
    reader.read("model_path", r.modelPath);
    reader.read("frames", r.frames);
    reader.read("sampling", kSampling, r.sampling);
    reader.read("pooling", kPooling, r.pooling);
    if (value.contains("time_instruction")) {
        bool wanted = false;
        reader.read("time_instruction", wanted);
        r.timeInstruction = wanted;
    }
    reader.read("max_new_tokens", r.maxNewTokens);
    reader.read("precision", precisionFromName, r.precision);
    reader.read("device", deviceFromName, r.device);
    reader.read("threads", r.threads);
    reader.read("memory", r.memoryBudgetGb);
    reader.read("kernel_set", r.kernelSet);
    reader.read("video_notes", r.videoNotes);
    reader.read("frames_file", r.framesFile);
    reader.read("frame_index", r.frameIndex);
    reader.read("frame_seconds", r.frameSeconds);
    reader.read("video_seconds", r.videoSeconds);
    if (!reader.problem().empty())
        return makeError(ErrorCode::Malformed, reader.problem());
    auto history = historyFromValue(value["history"]);
    if (!history)
        return history.error();
    r.history = std::move(*history);
    if (value.contains("tokens")) {
        auto tokens = tokenSettingsFromValue(value["tokens"]);
        if (!tokens)
            return tokens.error();
        r.tokens = *tokens;
    }
    return r;
}

} // namespace canopy
