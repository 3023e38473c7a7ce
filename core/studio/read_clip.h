#pragma once

#include <filesystem>
#include <stop_token>
#include <vector>

#include "core/base/result.h"
#include "core/project/clip_drift.h"
#include "core/project/clip_library.h"

namespace canopy {

/// A library row from a finished file: its settings and a thumbnail. In a build without media always
/// Unsupported.
Result<Clip> readClip(const std::filesystem::path& file);

/// What every frame of a video looks like, for its drift. Decodes the whole file; a stop ends it with
/// Cancelled.
Result<std::vector<FrameLook>> readLooks(const std::filesystem::path& file, std::stop_token stop = {});

/// Size and time of a file as ClipLibrary::scan compares them.
void fillFileFacts(Clip& clip);

} // namespace canopy
