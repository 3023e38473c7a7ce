#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "accel/policies/state_parts.h"
#include "core/job/generation_request.h"
#include "core/job/sampling_point.h"

namespace canopy::accel {

/// Whether, how large and whereto the state of sampling is saved. All empty: not at all.
struct StateSaving {
    std::uint64_t budgetBytes = 0; ///< a larger state leaves out what can be made anew
    /// Asked after each row; `stopped`: once more when sampling was stopped.
    std::function<bool(bool stopped)> wanted;
    std::function<void(const SamplingPoint& point, std::vector<std::uint8_t> file)> take;
};

std::uint64_t bytesOf(const StateParts& parts);
/// The bytes of a state file: core/job/sampling_point.h. Copies the tensors to the host.
std::vector<std::uint8_t> writeState(const StateParts& parts, const SamplingPoint& point,
                                     const GenerationRequest& request);
/// Reads a state that was saved for these settings; tensors on `device`. Throws JobError: Malformed for a
/// damaged file, Unsupported for a newer version, Mismatch for another clip's.
StateParts readState(const std::filesystem::path& path, const GenerationRequest& request, at::Device device,
                     SamplingPoint* point = nullptr);

} // namespace canopy::accel
