#pragma once

#include <filesystem>

#include "core/base/result.h"
#include "core/project/clip_library.h"

namespace canopy {

/// A library row from a finished file: its settings and a thumbnail. In a build without media always
/// Unsupported.
Result<Clip> readClip(const std::filesystem::path& file);

/// Size and time of a file as ClipLibrary::scan compares them.
void fillFileFacts(Clip& clip);

} // namespace canopy
