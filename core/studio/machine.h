#pragma once

// Private to core/studio: what the machine has to give.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/job/generation_request.h"

namespace canopy {

/// MemAvailable of /proc/meminfo; 0 when it cannot be read.
std::uint64_t availableMemoryBytes();

/// Whether `folder` (made when missing) can be written to and has `bytes` free; a sentence when not.
std::optional<Error> folderProblem(const std::filesystem::path& folder, std::uint64_t bytes);

/// What a device's times belong to: the processor with its threads, or the card as the worker names it
/// ("cuda: NVIDIA ...").
std::string machineName(DeviceKind device, const std::vector<std::string>& workerDevices);

/// "12.3 GB".
std::string gigabytes(std::uint64_t bytes);

} // namespace canopy
