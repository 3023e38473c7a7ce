#pragma once

#include <filesystem>
#include <string>

#include "core/job/attention_settings.h"

namespace CLI {
class App;
}

namespace canopy::cli {

/// Options of `generate` that choose the attention. Written when the whole command line is parsed; options
/// that the chosen method does not read are a usage error.
void addAttention(CLI::App& generate, AttentionSettings& settings, std::filesystem::path& stats);

} // namespace canopy::cli
