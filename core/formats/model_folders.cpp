#include "core/formats/model_folders.h"

#include <algorithm>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"
#include "core/formats/utf8.h"

namespace canopy {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFolders = 256;

} // namespace

fs::path builtinModelFolder() {
    return resourceFolder() / "models";
}

ModelFolders::ModelFolders()
    : ModelFolders(configFolder() / "model-folders.json") {}

ModelFolders::ModelFolders(fs::path file)
    : m_file(std::move(file)) {}

Result<std::vector<fs::path>> ModelFolders::list() const {
    const auto text = readTextFile(m_file, std::uint64_t{1} << 20);
    if (!text) {
        if (text.error().code == ErrorCode::NotFound)
            return std::vector<fs::path>{};
        return text.error();
    }
    const auto json = parseJson(*text);
    const auto broken = [&](const std::string& what) {
        return makeError(ErrorCode::Malformed, "The list of model folders cannot be read (" + what +
                                                   "); repair or delete it: " + m_file.string());
    };
    if (!json)
        return broken(json.error().message);
    if ((*json)["version"].asInt() != 1 || !(*json)["folders"].isArray())
        return broken("expected version 1 and a list of folders");
    std::vector<fs::path> out;
    for (const auto& folder : (*json)["folders"].asArray()) {
        if (!folder.isString() || !fs::path(folder.asString()).is_absolute() || out.size() >= kMaxFolders)
            return broken("expected at most 256 absolute paths");
        out.emplace_back(folder.asString());
    }
    return out;
}

Result<void> ModelFolders::add(const fs::path& folder) const {
    std::error_code failed;
    if (!fs::exists(folder, failed))
        return makeError(ErrorCode::NotFound, "There is no such folder: " + folder.string());
    fs::path absolute = fs::absolute(folder, failed).lexically_normal();
    if (failed)
        return makeError(ErrorCode::Io, "The folder's place cannot be found out (" + failed.message() +
                                            "): " + folder.string());
    if (!absolute.has_filename())
        absolute = absolute.parent_path();
    if (!isValidUtf8(absolute.string()))
        return makeError(ErrorCode::Unsupported,
                         "The folder's name is no UTF-8 and cannot be remembered; rename it: " +
                             quotedName(absolute.string()));
    auto folders = list();
    if (!folders)
        return folders.error();
    if (std::find(folders->begin(), folders->end(), absolute) != folders->end())
        return {};
    if (folders->size() >= kMaxFolders)
        return makeError(ErrorCode::InvalidArgument,
                         "256 model folders are remembered already; remove one first");
    folders->push_back(absolute);
    return write(*folders);
}

Result<void> ModelFolders::remove(const fs::path& folder) const {
    auto folders = list();
    if (!folders)
        return folders.error();
    const auto found = std::find(folders->begin(), folders->end(), folder);
    if (found == folders->end())
        return makeError(ErrorCode::NotFound, "This folder is not in the list: " + folder.string());
    folders->erase(found);
    return write(*folders);
}

Result<void> ModelFolders::write(const std::vector<fs::path>& folders) const {
    Value::Array list;
    for (const auto& folder : folders)
        list.emplace_back(folder.string());
    Value json;
    json.set("version", 1).set("folders", std::move(list));
    return writeFileAtomically(m_file, toJson(json, 1) + "\n");
}

std::vector<ScanResult> ModelFolders::scan() const {
    auto out = scanFolder(builtinModelFolder());
    const auto folders = list();
    if (!folders) {
        out.push_back({m_file, std::nullopt, folders.error()});
        return out;
    }
    for (const auto& folder : *folders) {
        std::error_code failed;
        if (fs::is_directory(folder, failed)) {
            auto found = scanFolder(folder);
            std::move(found.begin(), found.end(), std::back_inserter(out));
            continue;
        }
        auto record = scanModel(folder);
        if (record)
            out.push_back({folder, std::move(*record), std::nullopt});
        else
            out.push_back({folder, std::nullopt, record.error()});
    }
    // One model that lies below two remembered folders is listed once.
    for (auto it = out.begin(); it != out.end();) {
        const auto same = [&](const ScanResult& r) { return r.path == it->path; };
        it = std::find_if(out.begin(), it, same) != it ? out.erase(it) : it + 1;
    }
    return out;
}

Result<ModelRecord> findModel(std::string_view idOrPath, const ModelFolders& folders) {
    const fs::path path(idOrPath);
    std::error_code failed;
    const bool isPath = idOrPath.find('/') != std::string_view::npos;
    if (!idOrPath.empty() && (isPath || fs::exists(path, failed)))
        return scanModel(path);
    std::string known;
    for (auto& result : folders.scan()) {
        if (!result.record)
            continue;
        if (idOrPath.empty() ? result.record->missing.empty()
                             : result.record->id == idOrPath || result.record->root.filename() == path)
            return std::move(*result.record);
        known += (known.empty() ? "" : ", ");
        known += result.record->id;
    }
    if (idOrPath.empty())
        return makeError(ErrorCode::NotFound, "No complete model was found; add a folder of models");
    return makeError(ErrorCode::NotFound, "No model has the id " + quotedName(idOrPath) + "; known are: " +
                                              (known.empty() ? std::string("none") : known));
}

} // namespace canopy
