#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/job/ask_request.h"
#include "core/job/calibration_request.h"
#include "core/job/generation_request.h"

namespace canopy::cli {

/// Thresholds per head from a file of `calibrate`, and which parts of the host were named beside it: those
/// must agree with the file, the others are taken from it.
struct ThresholdsOption {
    std::filesystem::path file; ///< empty = none
    bool hasStride = false, hasClusters = false, hasMinimumShare = false;
};

struct GenerateOptions {
    GenerationRequest request; ///< as asked; zero and negative = the model's default
    std::string model;         ///< id or path; empty = the first that can run
    std::filesystem::path out; ///< may be empty with dryRun
    std::filesystem::path framesDir;
    std::filesystem::path video; ///< that the clip goes on from, in place of the request's first image
    std::filesystem::path record;
    std::filesystem::path stats; ///< of sparse attention or of chunks; empty = not gathered
    ThresholdsOption thresholds;
    std::filesystem::path cacheFit; ///< a ReuseCalibration; empty = the model's own
    double saveSeconds = 20;        ///< between two saved states
    bool dryRun = false;
    bool jsonProgress = false;
};

struct ResumeOptions {
    std::filesystem::path state;     ///< a saved state, or a session recorded with its state
    std::filesystem::path out;       ///< empty = as the clip was asked for
    std::filesystem::path framesDir; ///< the same
    double saveSeconds = 20;
    bool jsonProgress = false;
};

struct CalibrateOptions {
    bool cache = false;         ///< of reuse by time (ReuseCalibration) in place of an attention's thresholds
    CalibrationRequest request; ///< as asked
    std::string model;          ///< id or path; empty = the first that can run
    std::filesystem::path prompts;
    std::filesystem::path out;
    bool resume = false;
};

struct StudyCommandOptions {
    std::filesystem::path grid;
    std::filesystem::path out;
    std::string model;               ///< id or path; empty = the grid's
    std::string qaModel;             ///< id or path; empty = the first that can run
    std::filesystem::path promptSet; ///< empty = the grid's
    bool noQuestions = false;
    int prompts = 0;               ///< 0 = all
    std::vector<std::string> arms; ///< empty = all
    std::string device, precision; ///< empty = the grid's
    int threads = 0;               ///< 0 = the grid's
    std::vector<std::string> only; ///< see evaluation::StudyOptions
    bool noNewClips = false;
    int part = 0, parts = 1; ///< see evaluation::StudyOptions
};

struct AskOptions {
    AskRequest request;        ///< as asked; zero and Auto = the model's default
    std::string model;         ///< id or path; empty = the first that can run
    std::filesystem::path out; ///< `tokens`: the JSON file; an existing one is not overwritten
    std::filesystem::path record;
    bool json = false;
};

struct EvaluateOptions {
    std::filesystem::path questions;
    std::string model;
    AskRequest base;              ///< frames, thresholds, precision, device, threads
    std::vector<TokenMode> modes; ///< All is always asked beside them
    std::vector<double> keep;     ///< shares below 1; each mode is asked at each
    std::filesystem::path out;    ///< .json or .html; empty = the table on standard output only
};

// Each command writes results to standard output, what went wrong and progress to standard error, and returns
// the process's exit code.
int generate(GenerateOptions options);
int resume(ResumeOptions options);
int ask(AskOptions options);
int tokens(AskOptions options);
int evaluate(EvaluateOptions options);
int calibrate(CalibrateOptions options);
int calibrateCache(CalibrateOptions options);
int study(StudyCommandOptions options);
int info(const std::filesystem::path& file);
int listModels(bool json);
int addModelFolder(const std::filesystem::path& folder, bool json);
int compare(const std::filesystem::path& a, const std::filesystem::path& b, bool json);

} // namespace canopy::cli
