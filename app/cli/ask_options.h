#pragma once

#include "app/cli/commands.h"

namespace CLI {
class App;
}

namespace canopy::cli {

// Options of `ask`, `tokens` and `evaluate`, written into `options` when the whole command line is parsed.
CLI::App* addAsk(CLI::App& app, AskOptions& options);
CLI::App* addTokens(CLI::App& app, AskOptions& options);
CLI::App* addEvaluate(CLI::App& app, EvaluateOptions& options);

} // namespace canopy::cli
