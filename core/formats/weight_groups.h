#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/formats/safetensors.h"

namespace canopy {

/// Files that together hold one model part: a shard index with its shards, numbered shards without an index,
/// or one file by itself.
struct WeightGroup {
    std::string name;                         ///< file name of the index or of the first file
    std::filesystem::path index;              ///< empty = none
    std::vector<std::filesystem::path> files; ///< in shard order; empty when there is an index
};

/// The groups of one folder, by name; sub-folders are not entered. Numbered shards of which some are missing
/// come back as a group all the same: opening it says what is missing.
std::vector<WeightGroup> weightGroups(const std::filesystem::path& folder);
/// The group that a file or an index belongs to by itself.
WeightGroup groupOfFile(const std::filesystem::path& file);
Result<Checkpoint> openGroup(const WeightGroup& group);

/// Names of Torch archives in a folder, which are recognised and never opened.
std::vector<std::filesystem::path> torchArchives(const std::filesystem::path& folder);

} // namespace canopy
