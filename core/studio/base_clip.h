#pragma once

// Private to core/studio: the earlier clip that one is built on.

#include <filesystem>

#include "core/base/result.h"

namespace canopy {

/// The latents of an earlier clip: `base` itself where it is a safetensors file, else the newest latents of a
/// recorded session, written to `to`.
Result<std::filesystem::path> baseLatents(const std::filesystem::path& base, const std::filesystem::path& to);

} // namespace canopy
