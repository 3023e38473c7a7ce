#pragma once

#include <string_view>

#include "core/base/result.h"
#include "core/formats/qa_config_json.h"
#include "core/formats/qa_model.h"
#include "core/formats/qa_tensors.h"

namespace canopy {

// What neither config nor tensors of a public release say stands here and nowhere else.

/// The tower of a release in the original layout, whose config.json gives its name only. Size, heads and
/// number of blocks that are run; width, patch and MLP come from the tensors.
Result<SiglipConfig> knownTower(std::string_view towerName, const QaShapes& shapes);

/// Frames and label of a release: `name`, a file or folder name, is the label of one that is not known.
QaDefaults knownQaDefaults(const QaConfig& config, int width, std::string_view name);

/// Ids of <|im_end|> and <|endoftext|> in Qwen2's own vocabulary; empty when the table is too small for them.
std::vector<std::int32_t> knownStopIds(int vocabulary);

} // namespace canopy
