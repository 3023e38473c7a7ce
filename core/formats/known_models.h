#pragma once

#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/model_config.h"

namespace canopy {

/// Defaults of a public checkpoint, found by what its tensors say. Where two releases have equal tensors (14B
/// for 540p and 720p) `name`, a file or folder name, decides. Other models of a family get the family's
/// nearest record with `name` as label.
ModelDefaults knownModelDefaults(const DitConfig& dit, std::string_view name);

/// Whether a file or folder name says that it belongs to SkyReels-V2. Its 14B tensors have Wan's names and
/// shapes.
bool nameSaysSkyReels(std::string_view name);

/// Mean and deviation of Wan 2.1's latent channels, for files that do not carry them.
const std::vector<double>& wanLatentsMean();
const std::vector<double>& wanLatentsStd();

/// The sentence for Wan and SkyReels image-to-video checkpoints (36 input channels, CLIP image features).
Error imageToVideoRefusal();

} // namespace canopy
