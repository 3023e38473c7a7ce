#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/model_config.h"

namespace canopy {

/// One model, found at `path`: a diffusers folder, a release in the layout of its own repository, a folder of
/// a Hugging Face cache, or a transformer in one file (as ComfyUI has them) whose other parts lie in the
/// folders around it. Reads headers and small configuration files only; nothing is written and nothing is
/// downloaded. Parts that are not there are sentences in `missing`; what is no text-to-video model of a known
/// family is an error.
Result<ModelRecord> scanModel(const std::filesystem::path& path);

struct ScanResult {
    std::filesystem::path path;
    std::optional<ModelRecord> record;
    std::optional<Error> error; ///< set when there is no record
};

/// Every model at or below a folder, ordered by path; at most five levels deep and 4,096 folders.
std::vector<ScanResult> scanFolder(const std::filesystem::path& folder);

} // namespace canopy
