#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace canopy::evaluation {

/// Prompts of a UTF-8 text file, one a line; empty lines and lines that begin with # are skipped. None is an
/// error.
Result<std::vector<std::string>> readPromptSet(const std::filesystem::path& file);

} // namespace canopy::evaluation
