#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "app/cli/exit_code.h"
#include "core/base/result.h"

namespace canopy::cli {

/// The error's sentence on standard error; its exit code.
ExitCode report(const Error& error);

std::string bytesText(std::uint64_t bytes); ///< "1.4 GB", "38 MB"
std::string secondsText(double seconds);    ///< "8.2 s", "3 min 20 s"
/// Without control characters: names and prompts of untrusted files must not drive the terminal.
std::string printable(std::string_view text);

} // namespace canopy::cli
