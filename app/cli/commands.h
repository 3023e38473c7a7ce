#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/job/ask_request.h"
#include "core/job/generation_request.h"

namespace canopy::cli {

struct GenerateOptions {
    GenerationRequest request; ///< as asked; zero and negative = the model's default
    std::string model;         ///< id or path; empty = the first that can run
    std::filesystem::path out; ///< may be empty with dryRun
    std::filesystem::path framesDir;
    std::filesystem::path record;
    std::filesystem::path attentionStats; ///< empty = not gathered
    bool dryRun = false;
    bool jsonProgress = false;
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
int ask(AskOptions options);
int tokens(AskOptions options);
int evaluate(EvaluateOptions options);
int info(const std::filesystem::path& file);
int listModels(bool json);
int addModelFolder(const std::filesystem::path& folder, bool json);
int compare(const std::filesystem::path& a, const std::filesystem::path& b, bool json);

} // namespace canopy::cli
