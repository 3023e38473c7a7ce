#pragma once

// Private to core/studio: what the machine has to give.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/base/result.h"

namespace canopy {

/// MemAvailable of /proc/meminfo; 0 when it cannot be read.
std::uint64_t availableMemoryBytes();

/// Whether `folder` (made when missing) can be written to and has `bytes` free; a sentence when not.
std::optional<Error> folderProblem(const std::filesystem::path& folder, std::uint64_t bytes);

/// "12.3 GB".
std::string gigabytes(std::uint64_t bytes);

} // namespace canopy
