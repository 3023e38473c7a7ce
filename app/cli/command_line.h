#pragma once

namespace canopy::cli {

/// Reads the arguments and runs the command that they name; the exit code of the process.
int runCommandLine(int argc, char** argv);

} // namespace canopy::cli
