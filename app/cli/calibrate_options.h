#pragma once

#include "app/cli/commands.h"

namespace CLI {
class App;
}

namespace canopy::cli {

/// Options of `calibrate`, written into `options` when the whole command line is parsed.
CLI::App* addCalibrate(CLI::App& app, CalibrateOptions& options);

} // namespace canopy::cli
