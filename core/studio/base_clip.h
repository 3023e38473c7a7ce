#pragma once

// Private to core/studio: the earlier clip that one is built on.

#include <filesystem>
#include <optional>

#include "core/base/result.h"
#include "core/project/job_store.h"
#include "core/studio/studio.h"

namespace canopy {

/// The latents of an earlier clip: `base` itself where it is a safetensors file; what was kept of it where it
/// is a finished clip of the job table; else the newest latents of a recorded session, written to `to`.
Result<std::filesystem::path> baseLatents(const StudioOptions& options, const JobStore& jobs,
                                          const std::filesystem::path& base, const std::filesystem::path& to);

/// Why a clip cannot go on from its request's base, as far as the job table says; nothing where it can.
std::optional<Error> baseProblem(const StudioOptions& options, const JobStore& jobs,
                                 const GenerationRequest& request);

} // namespace canopy
