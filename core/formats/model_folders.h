#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/model_scan.h"

namespace canopy {

/// The models that came with the program: resources/models.
std::filesystem::path builtinModelFolder();

/// The folders in which a person keeps models, remembered in one JSON file. They are only read, never written
/// to.
class ModelFolders {
public:
    /// `model-folders.json` of configFolder(), or another file.
    ModelFolders();
    explicit ModelFolders(std::filesystem::path file);

    /// In the order they were added; none when the file is not there.
    Result<std::vector<std::filesystem::path>> list() const;
    /// Remembers an existing folder or model file by its absolute path; one that is there already stays once.
    Result<void> add(const std::filesystem::path& folder) const;
    Result<void> remove(const std::filesystem::path& folder) const;
    /// Models of builtinModelFolder() first, then those of the list. A folder of the list
    /// that cannot be read is one result with an error.
    std::vector<ScanResult> scan() const;

private:
    Result<void> write(const std::vector<std::filesystem::path>& folders) const;
    std::filesystem::path m_file;
};

/// What `--model` names: an id or the name of a folder among all known models, or the path of a model. Empty
/// = the first that can run.
Result<ModelRecord> findModel(std::string_view idOrPath, const ModelFolders& folders);

} // namespace canopy
