#pragma once

#include <filesystem>
#include <string>

#include "app/cli/commands.h"

namespace CLI {
class App;
}

namespace canopy::cli {

/// Options of `generate` that choose the attention. Written when the whole command line is parsed; options
/// that the chosen method does not read are a usage error.
void addAttention(CLI::App& generate, AttentionSettings& settings, ThresholdsOption& thresholds,
                  std::filesystem::path& stats);

} // namespace canopy::cli
