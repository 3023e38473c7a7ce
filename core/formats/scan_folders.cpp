#include "core/formats/scan_folders.h"

#include <algorithm>

#include "core/base/files.h"

namespace canopy {

namespace {

namespace fs = std::filesystem;

} // namespace

bool isFile(const fs::path& path) {
    std::error_code failed;
    return fs::is_regular_file(path, failed);
}
bool isFolder(const fs::path& path) {
    std::error_code failed;
    return fs::is_directory(path, failed);
}

std::vector<fs::path> sortedEntries(const fs::path& folder, bool folders) {
    std::vector<fs::path> out;
    std::error_code failed;
    fs::directory_iterator it(folder, fs::directory_options::skip_permission_denied, failed);
    for (; !failed && it != fs::directory_iterator() && out.size() < kMaxScanFolders; it.increment(failed))
        if (isFolder(it->path()) == folders)
            out.push_back(it->path());
    std::sort(out.begin(), out.end());
    return out;
}

/// Whether `path` lies in `folder`, after symbolic links.
bool isInside(const fs::path& path, const fs::path& folder) {
    std::error_code failed;
    const fs::path inner = fs::weakly_canonical(path, failed);
    const fs::path outer = failed ? folder : fs::weakly_canonical(folder, failed);
    return !failed &&
           std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

fs::path licenceIn(const fs::path& folder) {
    for (const char* name :
         {"LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "LICENSE-CC0.txt"})
        if (isFile(folder / name))
            return folder / name;
    return {};
}

/// "models--Wan-AI--Wan2.1-T2V-1.3B-Diffusers"
bool isCacheFolder(const fs::path& path) {
    return path.filename().string().starts_with("models--") && isFolder(path / "snapshots");
}

std::string cacheName(const fs::path& folder) {
    std::string name = folder.filename().string().substr(8);
    if (const auto split = name.find("--"); split != std::string::npos)
        name.replace(split, 2, "/");
    return name;
}

/// The snapshot that `refs/main` names, else the only or the last one by name.
Result<fs::path> snapshotOf(const fs::path& folder) {
    if (const auto ref = readTextFile(folder / "refs" / "main", 256)) {
        const auto end = std::find_if_not(ref->begin(), ref->end(), [](char c) {
            return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        });
        const fs::path snapshot = folder / "snapshots" / std::string(ref->begin(), end);
        if (end != ref->begin() && isFolder(snapshot))
            return snapshot;
    }
    const auto all = sortedEntries(folder / "snapshots", true);
    if (all.empty())
        return makeError(ErrorCode::NotFound,
                         "This Hugging Face cache holds no snapshot; download the model again: " +
                             folder.string());
    return all.back();
}

} // namespace canopy
