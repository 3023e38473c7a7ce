#include "core/job/ask_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace canopy {
namespace {

using Bytes = std::uint64_t;

/// The worker before any weight; as in memory_plan.cpp.
constexpr Bytes kCpuRuntime = 142'000'000;
constexpr Bytes kCudaRuntime = 40'000'000;
/// oneDNN's packed weights and scratch, measured.
constexpr Bytes kCpuScratch = 25'000'000;

Bytes elementBytes(const AskRequest& r) {
    const bool half = r.precision == Precision::BFloat16 ||
                      (r.precision == Precision::Auto && r.device == DeviceKind::Cuda);
    return half ? 2 : 4;
}

std::string percent(double share) {
    std::string text = std::to_string(std::round(share * 1000) / 10);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.')
        text.pop_back();
    return text + " %";
}

bool isShare(double value) {
    return value > 0 && value <= 1;
}

} // namespace

AskRequest withModelDefaults(AskRequest request, const QaModelRecord& model) {
    request.modelId = model.id;
    request.modelPath = model.root.string();
    if (request.frames <= 0)
        request.frames = model.defaults.frames;
    if (request.pooling == TokenPooling::Auto)
        request.pooling =
            model.pooling == HostPooling::Average ? TokenPooling::Average : TokenPooling::Bilinear;
    if (!request.timeInstruction)
        request.timeInstruction = model.defaults.timeInstruction;
    return request;
}

std::vector<std::string> checkAsk(const AskRequest& request, const QaModelRecord& model) {
    const AskRequest r = withModelDefaults(request, model);
    std::vector<std::string> problems = model.missing;
    const auto wrong = [&](std::string sentence) { problems.push_back(std::move(sentence)); };
    if (r.videoPath.empty() && r.framesFile.empty())
        wrong("No video is chosen: open one or drop one on the window.");
    if (r.question.size() > 32'768)
        wrong("The question has " + std::to_string(r.question.size()) + " bytes; use at most 32768.");
    if (r.options.size() == 1)
        wrong("There is one option only; give two or more, or none for an open question.");
    if (r.options.size() > 26)
        wrong("There are " + std::to_string(r.options.size()) + " options; use at most 26 (A to Z).");
    if (!r.options.empty() && r.question.empty())
        wrong("There are options without a question; write the question.");
    if (r.frames < 1 || r.frames > 1024)
        wrong(std::to_string(r.frames) + " frames are asked for; use 1 to 1024.");
    if (!isShare(r.tokens.keep))
        wrong("The share of kept tokens is " + percent(r.tokens.keep) + "; use more than 0 % up to 100 %.");
    if (!isShare(r.tokens.candidateShare))
        wrong("The share of candidates (rho) is " + percent(r.tokens.candidateShare) +
              "; use more than 0 % up to 100 %.");
    if (r.tokens.semanticThreshold < -1 || r.tokens.semanticThreshold > 1)
        wrong("The semantic threshold (tau_s) must lie between -1 and 1.");
    if (r.tokens.spatialThreshold < 0 || r.tokens.spatialThreshold > 1)
        wrong("The spatial threshold (tau_sp) must lie between 0 and 1.");
    if (r.tokens.mode == TokenMode::All && r.tokens.keep < 1)
        wrong("Keeping " + percent(r.tokens.keep) + " needs a way to choose: pick a mode, or keep 100 %.");
    if (r.maxNewTokens < 1 || r.maxNewTokens > 4096)
        wrong("The answer may have " + std::to_string(r.maxNewTokens) + " tokens; use 1 to 4096.");
    if (r.threads < 0 || r.threads > 1024)
        wrong(std::to_string(r.threads) + " threads are asked for; use 0 (all) to 1024.");
    if (r.memoryBudgetGb < 0 || !std::isfinite(r.memoryBudgetGb))
        wrong("The memory budget must be 0 (what is free) or a number of gigabytes.");
    return problems;
}

VideoLayout videoLayout(const QaModelRecord& model, const AskRequest& request) {
    const bool average = request.pooling == TokenPooling::Average ||
                         (request.pooling == TokenPooling::Auto && model.pooling == HostPooling::Average);
    VideoLayout layout;
    layout.frames = request.frames > 0 ? request.frames : model.defaults.frames;
    layout.rows = layout.columns = model.cellsPerSide(average ? HostPooling::Average : HostPooling::Bilinear);
    layout.cells = std::int64_t{layout.frames} * layout.rows * layout.columns;
    switch (model.newlines) {
    case HostNewlines::OneToken:
        layout.newlines = 1;
        break;
    case HostNewlines::Grid:
        layout.newlines = std::int64_t{layout.frames} * layout.rows;
        break;
    case HostNewlines::Frame:
        layout.newlines = layout.frames;
        break;
    case HostNewlines::None:
        break;
    }
    return layout;
}

std::int64_t plannedVideoTokens(const QaModelRecord& model, const AskRequest& request) {
    const VideoLayout layout = videoLayout(model, request);
    if (request.tokens.mode == TokenMode::All || tokenModeInfo(request.tokens.mode).insideModel)
        return layout.tokens();
    return std::llround(request.tokens.keep * static_cast<double>(layout.cells)) + layout.newlines;
}

std::uint64_t kvBytesPerToken(const Qwen2Config& language, int bytes) {
    return static_cast<Bytes>(language.layers) * 2 * static_cast<Bytes>(language.kvHeads) *
           static_cast<Bytes>(language.headDim) * static_cast<Bytes>(bytes);
}

double prefillFlop(const Qwen2Config& language, std::int64_t tokens) {
    const double n = static_cast<double>(tokens);
    const double queries = static_cast<double>(language.heads) * language.headDim;
    const double keys = static_cast<double>(language.kvHeads) * language.headDim;
    const double width = language.width;
    const double layerParameters = 2 * width * queries + 2 * width * keys + 3 * width * language.mlpDim;
    return language.layers * (2 * n * layerParameters + 2 * n * n * queries);
}

double visionFlop(const SiglipConfig& vision, int languageWidth, int frames) {
    const double n = static_cast<double>(vision.gridSide()) * vision.gridSide();
    const double width = vision.width;
    const double block = 2 * n * (4 * width * width + 2 * width * vision.mlpDim) + 4 * n * n * width;
    const double patches = 2 * n * width * 3 * vision.patch * vision.patch;
    const double projector = 2 * n * (width * languageWidth + 1.0 * languageWidth * languageWidth);
    return frames * (vision.layers * block + patches + projector);
}

MemoryPlan planMemory(const QaModelRecord& model, const AskRequest& r, std::int64_t videoTokens) {
    const bool cuda = r.device == DeviceKind::Cuda;
    const Bytes e = elementBytes(r);
    const auto& language = model.language;
    const VideoLayout layout = videoLayout(model, r);
    const Bytes weights = (model.visionParameters + model.languageParameters) * e;
    const Bytes features = static_cast<Bytes>(layout.cells) * static_cast<Bytes>(language.width) * e;
    const Bytes n = static_cast<Bytes>(videoTokens + kPlannedTextTokens);
    const Bytes runtime = cuda ? kCudaRuntime : kCpuRuntime + kCpuScratch;

    const auto stage = [&](std::string name) {
        MemoryStage s;
        s.name = std::move(name);
        s.items = {{MemoryCategory::Runtime, r.device, runtime},
                   {MemoryCategory::Weights, r.device, weights},
                   {MemoryCategory::Frames, r.device, features}};
        return s;
    };

    // The tower runs a few frames at a time: per patch its widest row (feed-forward in and out, q, k, v and
    // the residual), then the projector's rows.
    const Bytes patches = static_cast<Bytes>(model.vision.gridSide()) * model.vision.gridSide();
    const Bytes framesAtOnce = std::min<Bytes>(static_cast<Bytes>(layout.frames), cuda ? 16 : 4);
    const Bytes towerRow = static_cast<Bytes>(2 * model.vision.mlpDim + 6 * model.vision.width);
    const Bytes projectorRow = 3 * static_cast<Bytes>(language.width);
    MemoryStage vision = stage("vision");
    vision.items.push_back({MemoryCategory::Activations, r.device,
                            framesAtOnce * patches * std::max(towerRow, projectorRow) * e});

    // Per token of the prompt: residual, norm, q, k, v and the attention's output. The feed-forward's gated
    // pair and product are as wide as all tokens on a card and as 1,024 of them on the CPU. Keys and values
    // stay for the answer.
    const Bytes width = static_cast<Bytes>(language.width);
    const Bytes wide = cuda ? n : std::min<Bytes>(n, 1024);
    MemoryStage prefill = stage("prefill");
    prefill.items.push_back(
        {MemoryCategory::Activations, r.device,
         (n * (cuda ? 6 : 9) * width + wide * 3 * static_cast<Bytes>(language.mlpDim)) * e});
    prefill.items.push_back({MemoryCategory::KeyValues, r.device,
                             (n + static_cast<Bytes>(std::max(r.maxNewTokens, 0))) *
                                 kvBytesPerToken(language, static_cast<int>(e))});
    return MemoryPlan{{std::move(vision), std::move(prefill)}};
}

} // namespace canopy
