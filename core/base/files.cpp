#include "core/base/files.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace canopy {

namespace {

namespace fs = std::filesystem;

fs::path homeFolder() {
    const char* home = std::getenv("HOME");
    return home && *home ? fs::path(home) : fs::path("/");
}

fs::path xdgFolder(const char* variable, const char* fallback) {
    const char* value = std::getenv(variable);
    // The XDG rules: a relative path is ignored.
    if (value && *value == '/')
        return fs::path(value);
    return homeFolder() / fallback;
}

std::string describe(int error) {
    return std::strerror(error);
}

Error ioError(const std::string& what, const fs::path& path, int error) {
    const auto code = error == ENOENT ? ErrorCode::NotFound : ErrorCode::Io;
    return makeError(code, what + ": " + describe(error) + ". " + path.string());
}

const char* kindName(mode_t mode) {
    if (S_ISDIR(mode))
        return "a folder";
    if (S_ISFIFO(mode))
        return "a pipe";
    if (S_ISSOCK(mode))
        return "a socket";
    return "a device";
}

} // namespace

fs::path dataFolder() {
    return xdgFolder("XDG_DATA_HOME", ".local/share") / "canopy";
}
fs::path stateFolder() {
    return xdgFolder("XDG_STATE_HOME", ".local/state") / "canopy";
}
fs::path configFolder() {
    return xdgFolder("XDG_CONFIG_HOME", ".config") / "canopy";
}
fs::path clipFolder() {
    return xdgFolder("XDG_VIDEOS_DIR", "Videos") / "Canopy";
}

fs::path executableFolder() {
    std::error_code error;
    const auto path = fs::read_symlink("/proc/self/exe", error);
    return error ? fs::current_path() : path.parent_path();
}

fs::path resourceFolder() {
    if (const char* value = std::getenv("CANOPY_RESOURCES"); value && *value)
        return value;
    // Installed: <prefix>/bin beside <prefix>/share/canopy. From a build tree: the checkout some levels up.
    const auto here = executableFolder();
    if (const auto installed = here / "../share/canopy/resources"; fs::exists(installed))
        return fs::weakly_canonical(installed);
    for (auto folder = here; folder != folder.root_path(); folder = folder.parent_path()) {
        if (fs::exists(folder / "resources" / "models"))
            return folder / "resources";
    }
    return here / "resources";
}

ReadOnlyFile::ReadOnlyFile(int fd, std::uint64_t size, fs::path path)
    : m_fd(fd)
    , m_size(size)
    , m_path(std::move(path)) {}

ReadOnlyFile::ReadOnlyFile(ReadOnlyFile&& other) noexcept
    : m_fd(std::exchange(other.m_fd, -1))
    , m_size(other.m_size)
    , m_path(std::move(other.m_path)) {}

ReadOnlyFile& ReadOnlyFile::operator=(ReadOnlyFile&& other) noexcept {
    std::swap(m_fd, other.m_fd);
    std::swap(m_size, other.m_size);
    std::swap(m_path, other.m_path);
    return *this;
}

ReadOnlyFile::~ReadOnlyFile() {
    if (m_fd >= 0)
        ::close(m_fd);
}

Result<ReadOnlyFile> ReadOnlyFile::open(const fs::path& path) {
    // O_NONBLOCK: opening a pipe that nobody writes must not hang.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return ioError("The file cannot be opened", path, errno);
    ReadOnlyFile file(fd, 0, path);
    struct stat info {};
    if (::fstat(fd, &info) != 0)
        return ioError("The file cannot be examined", path, errno);
    if (!S_ISREG(info.st_mode)) {
        return makeError(ErrorCode::InvalidArgument, std::string("Expected a file, found ") +
                                                         kindName(info.st_mode) +
                                                         ". Choose a regular file. " + path.string());
    }
    file.m_size = static_cast<std::uint64_t>(info.st_size);
    return file;
}

Result<void> ReadOnlyFile::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t n =
            ::pread(m_fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ioError("The file cannot be read", m_path, errno);
        if (n == 0) {
            return makeError(ErrorCode::Io, "The file ended at byte " + std::to_string(offset + done) +
                                                " of " + std::to_string(m_size) +
                                                ": it changed while being read. Try again. " +
                                                m_path.string());
        }
        done += static_cast<std::size_t>(n);
    }
    return {};
}

Result<std::vector<std::uint8_t>> readFile(const fs::path& path, std::uint64_t maxBytes) {
    auto file = ReadOnlyFile::open(path);
    if (!file)
        return file.error();
    if (file->size() > maxBytes) {
        return makeError(ErrorCode::Malformed, "The file has " + std::to_string(file->size()) +
                                                   " bytes; at most " + std::to_string(maxBytes) +
                                                   " are read. " + path.string());
    }
    std::vector<std::uint8_t> bytes(file->size());
    if (auto read = file->read(0, bytes); !read)
        return read.error();
    return bytes;
}

Result<std::string> readTextFile(const fs::path& path, std::uint64_t maxBytes) {
    auto bytes = readFile(path, maxBytes);
    if (!bytes)
        return bytes.error();
    return std::string(bytes->begin(), bytes->end());
}

Result<void> syncFolder(const fs::path& folder) {
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ioError("The folder cannot be opened", folder, errno);
    const int failed = ::fsync(fd) != 0 ? errno : 0;
    ::close(fd);
    // Some network file systems know no fsync of folders; the rename itself stands.
    if (failed && failed != EINVAL && failed != ENOTSUP)
        return ioError("The folder cannot be synchronised", folder, failed);
    return {};
}

Result<void> writeFileAtomically(const fs::path& path, std::span<const std::uint8_t> bytes) {
    const auto folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    std::error_code made;
    fs::create_directories(folder, made);
    if (made)
        return ioError("The folder cannot be made", folder, made.value());
    std::string temporary = path.string() + ".XXXXXX";
    const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
    if (fd < 0)
        return ioError("The file cannot be written", path, errno);
    const auto giveUp = [&](const char* what, int error) -> Error {
        ::close(fd);
        ::unlink(temporary.c_str());
        return ioError(what, path, error);
    };
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return giveUp("The file cannot be written", n == 0 ? ENOSPC : errno);
        done += static_cast<std::size_t>(n);
    }
    ::fchmod(fd, 0644);
    if (::fsync(fd) != 0)
        return giveUp("The file cannot be written to the disk", errno);
    if (::close(fd) != 0) {
        const int error = errno;
        ::unlink(temporary.c_str());
        return ioError("The file cannot be written", path, error);
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
        const int error = errno;
        ::unlink(temporary.c_str());
        return ioError("The file cannot be put in its place", path, error);
    }
    return syncFolder(folder);
}

Result<void> writeFileAtomically(const fs::path& path, std::string_view text) {
    return writeFileAtomically(path,
                               std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

} // namespace canopy
