#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/job/generation_request.h"

namespace canopy::cli {

struct GenerateOptions {
    GenerationRequest request; ///< as asked; zero and negative = the model's default
    std::string model;         ///< id or path; empty = the first that can run
    std::filesystem::path out; ///< may be empty with dryRun
    std::filesystem::path framesDir;
    std::filesystem::path record;
    bool dryRun = false;
    bool jsonProgress = false;
};

// Each command writes results to standard output, what went wrong and progress to standard error, and returns
// the process's exit code.
int generate(GenerateOptions options);
int info(const std::filesystem::path& file);
int listModels(bool json);
int addModelFolder(const std::filesystem::path& folder, bool json);
int compare(const std::filesystem::path& a, const std::filesystem::path& b, bool json);

} // namespace canopy::cli
