#pragma once

#include "app/cli/commands.h"

namespace CLI {
class App;
}

namespace canopy::cli {

/// Options of `study`, written into `options` when the whole command line is parsed.
CLI::App* addStudy(CLI::App& app, StudyCommandOptions& options);

} // namespace canopy::cli
