#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace canopy {

// What every search for models does with folders. Errors of the file system read as "not there".

constexpr int kMaxScanDepth = 5;
constexpr std::size_t kMaxScanFolders = 4096;

bool isFile(const std::filesystem::path& path);
bool isFolder(const std::filesystem::path& path);
/// The folders or the other entries of one folder, by name.
std::vector<std::filesystem::path> sortedEntries(const std::filesystem::path& folder, bool folders);
/// Whether `path` lies in `folder`, after symbolic links.
bool isInside(const std::filesystem::path& path, const std::filesystem::path& folder);
/// The licence text of a folder; empty when there is none.
std::filesystem::path licenceIn(const std::filesystem::path& folder);

/// A folder of a Hugging Face cache: "models--Wan-AI--Wan2.1-T2V-1.3B-Diffusers".
bool isCacheFolder(const std::filesystem::path& path);
/// "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
std::string cacheName(const std::filesystem::path& folder);
/// The snapshot that `refs/main` names, else the only or the last one by name.
Result<std::filesystem::path> snapshotOf(const std::filesystem::path& folder);

} // namespace canopy
