#pragma once

#include <functional>

#include "app/cli/commands.h"

namespace CLI {
class App;
}

namespace canopy::cli {

/// Options of `generate` that choose the attention. Written when the whole command line is parsed; options
/// that the chosen method does not read are a usage error.
/// The result is to be called when the command line is parsed: it throws the usage errors.
std::function<void()> addAttention(CLI::App& generate, AttentionSettings& settings,
                                   ThresholdsOption& thresholds);

} // namespace canopy::cli
