#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace canopy {

/// Folders of this user by the XDG rules; environment variables win. They are not created here.
std::filesystem::path dataFolder();   ///< $XDG_DATA_HOME/canopy: job table, library index
std::filesystem::path stateFolder();  ///< $XDG_STATE_HOME/canopy: logs, latents of unfinished jobs
std::filesystem::path configFolder(); ///< $XDG_CONFIG_HOME/canopy: settings, model folders
/// Where finished clips go: $XDG_VIDEOS_DIR/Canopy, else ~/Videos/Canopy.
std::filesystem::path clipFolder();
/// `resources/` of this build or installation: $CANOPY_RESOURCES, else found from the executable's place.
std::filesystem::path resourceFolder();
/// The folder of the running executable.
std::filesystem::path executableFolder();

/// A regular file opened once, read by position. Never blocks on FIFOs, never follows a replaced path
/// afterwards.
class ReadOnlyFile {
public:
    /// Refuses anything but a regular file, saying what it is. Symbolic links are followed.
    static Result<ReadOnlyFile> open(const std::filesystem::path& path);
    ReadOnlyFile(ReadOnlyFile&& other) noexcept;
    ReadOnlyFile& operator=(ReadOnlyFile&& other) noexcept;
    ~ReadOnlyFile();

    std::uint64_t size() const { return m_size; }
    const std::filesystem::path& path() const { return m_path; }
    int descriptor() const { return m_fd; }
    /// Fills `out` from `offset`; an end of file before that is "the file changed while being read".
    Result<void> read(std::uint64_t offset, std::span<std::uint8_t> out) const;

private:
    ReadOnlyFile(int fd, std::uint64_t size, std::filesystem::path path);
    int m_fd = -1;
    std::uint64_t m_size = 0;
    std::filesystem::path m_path;
};

/// Whole file, refused above `maxBytes`.
Result<std::vector<std::uint8_t>> readFile(const std::filesystem::path& path, std::uint64_t maxBytes);
Result<std::string> readTextFile(const std::filesystem::path& path, std::uint64_t maxBytes);

/// Replaces `path` as a whole or leaves it untouched: temporary beside it, every write counted, fsync,
/// rename, fsync of the folder. Missing parent folders are made.
Result<void> writeFileAtomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
Result<void> writeFileAtomically(const std::filesystem::path& path, std::string_view text);

/// fsync of a folder, so that a rename in it survives a power cut.
Result<void> syncFolder(const std::filesystem::path& folder);

} // namespace canopy
