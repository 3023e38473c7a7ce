#pragma once

#include <filesystem>

#include "core/base/result.h"
#include "core/job/generation_request.h"

namespace canopy {

// A clip that goes on from a video: the request's imagePath names it and ChunkSettings::givenFrames says how
// many latent frames of the clip its end fills.

/// As many whole latent frames as the video has at `fps` a second. Opens the file, decodes nothing.
Result<int> givenLatentFrames(const std::filesystem::path& video, int fps);

/// The video's end as the worker takes it (GenerationRequest::imagePixelsPath): decoded and cropped here,
/// because the worker opens no video.
Result<void> writeGivenVideo(const GenerationRequest& request, const std::filesystem::path& to);

} // namespace canopy
