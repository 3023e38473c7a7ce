#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/job/generation_request.h"

namespace canopy {

/// How video tokens are chosen before (or, FastV and FrameFusion, inside) the language model.
/// token-forest.md: forests 2.12, rivals 3.1 to 3.6, controls 3.7.
enum class TokenMode : std::uint8_t {
    All,            ///< nothing is pruned
    ForestCode,     ///< ForestPrune as its public code does it
    ForestPaper,    ///< ForestPrune as its paper describes it
    ForestBalanced, ///< our variant that spreads the budget over the frames; never called ForestPrune
    GPrune,         ///< the candidate choice alone
    FrameFusion,
    FastVid,
    HoliTom, ///< outer part
    VisionZip,
    FastV,
    DyCoke, ///< temporal step
    UniformRandom,
    Stride,
    FrameSkip,
    RegionCycle,
    PixelDiff,
};
enum class TokenModeKind : std::uint8_t { Unpruned, Forest, Rival, Control };

struct TokenModeInfo {
    TokenMode mode;
    TokenModeKind kind;
    std::string_view name;  ///< as on the command line and in files: "forest_code"
    std::string_view label; ///< for people: "ForestPrune (code)"
    std::string_view help;  ///< one sentence
    bool insideModel;       ///< shortens the sequence between layers of the language model
    bool nested;            ///< a smaller budget keeps a subset: one run serves every *Tokens kept*
};
std::span<const TokenModeInfo> tokenModes();
const TokenModeInfo& tokenModeInfo(TokenMode mode);
std::string_view tokenModeName(TokenMode mode);
std::optional<TokenMode> tokenModeFromName(std::string_view name);

/// Which newline tokens stay where the host puts one after each row of cells (token-forest.md 2.12). On hosts
/// with one newline after the last frame every policy but None keeps that one.
enum class NewlinePolicy : std::uint8_t { Auto, AllRows, NonEmptyRows, PerFrame, None };
/// Whether the budget counts cells (as the papers do) or all tokens that the language model is given.
enum class BudgetAccounting : std::uint8_t { Cells, AllTokens };
/// Positions that kept tokens get: packed to 0..n-1, or those they had unpruned. Auto = as each method was
/// published (3.8).
enum class PositionPolicy : std::uint8_t { Auto, Repacked, Original };
enum class FrameSampling : std::uint8_t { Index, Time };
enum class TokenPooling : std::uint8_t { Auto, Bilinear, Average };
std::string_view
newlinePolicyName(NewlinePolicy v); ///< "auto", "all_rows", "nonempty_rows", "per_frame", "none"
std::string_view budgetAccountingName(BudgetAccounting v); ///< "cells", "all_tokens"
std::string_view positionPolicyName(PositionPolicy v);     ///< "auto", "repacked", "original"
std::string_view frameSamplingName(FrameSampling v);       ///< "index", "time"
std::string_view tokenPoolingName(TokenPooling v);         ///< "auto", "bilinear", "average"
std::optional<NewlinePolicy> newlinePolicyFromName(std::string_view name);
std::optional<BudgetAccounting> budgetAccountingFromName(std::string_view name);
std::optional<PositionPolicy> positionPolicyFromName(std::string_view name);
std::optional<FrameSampling> frameSamplingFromName(std::string_view name);
std::optional<TokenPooling> tokenPoolingFromName(std::string_view name);

/// What decides which tokens are kept. Together with the features it determines them bit for bit.
struct TokenSettings {
    TokenMode mode = TokenMode::All;
    double keep = 1;                ///< share of the video's cells, 0 < keep <= 1
    double semanticThreshold = 0.9; ///< tau_s of the forests
    double spatialThreshold = 0.8;  ///< tau_sp of the forests
    double candidateShare = 0.5;    ///< rho: candidates of each frame
    std::uint64_t seed = 0;         ///< of the random controls
    NewlinePolicy newlines = NewlinePolicy::Auto;
    BudgetAccounting accounting = BudgetAccounting::Cells;
    PositionPolicy positions = PositionPolicy::Auto;
    bool operator==(const TokenSettings&) const = default;
};

struct QaTurn {
    std::string question;
    std::string answer;
    bool operator==(const QaTurn&) const = default;
};

/// One question about one video. Stored in the job table, in the run's file and in sessions.
struct AskRequest {
    static constexpr int kVersion = 1;

    std::string videoPath;
    std::string question;             ///< empty: only choose tokens (`canopy-cli tokens`)
    std::vector<std::string> options; ///< not empty: multiple choice, lettered A, B, ...
    std::vector<QaTurn> history;      ///< earlier turns on the same video, oldest first
    std::string modelId;
    std::string modelPath;
    int frames = 0; ///< sampled from the video; 0 = the model's default
    FrameSampling sampling = FrameSampling::Index;
    TokenSettings tokens;
    TokenPooling pooling = TokenPooling::Auto;
    std::optional<bool> timeInstruction; ///< absent = the model's default
    int maxNewTokens = 256;
    Precision precision = Precision::Auto;
    DeviceKind device = DeviceKind::Cpu;
    int threads = 0;
    double memoryBudgetGb = 0;
    std::string kernelSet;               ///< resolved by the worker
    std::vector<std::string> videoNotes; ///< what of the video was not used and why; by the client
    /// Frames as the client sampled and resized them (core/media/sampled_frames.h): a safetensors file with
    /// "frames" uint8 [T, S, S, 3]. The worker opens no video. Never stored.
    std::string framesFile;
    std::vector<std::int64_t> frameIndex; ///< of the sampled frames in the video; never stored
    std::vector<double> frameSeconds;     ///< their timestamps; never stored
    double videoSeconds = 0;              ///< never stored

    bool operator==(const AskRequest&) const = default;
};

/// Map with "version" and one key per field; a missing key leaves the default, unknown keys are ignored,
/// wrong types and unknown names are an error.
Value toValue(const TokenSettings& settings);
Result<TokenSettings> tokenSettingsFromValue(const Value& value);
Value toValue(const AskRequest& request);
Result<AskRequest> askRequestFromValue(const Value& value);

} // namespace canopy
