#include "core/base/files.h"

#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>
#include <sys/stat.h>

using namespace canopy;
namespace fs = std::filesystem;

namespace {
struct TemporaryFolder {
    fs::path path;
    TemporaryFolder() {
        std::string name = (fs::temp_directory_path() / "canopy-files-XXXXXX").string();
        path = ::mkdtemp(name.data());
    }
    ~TemporaryFolder() { fs::remove_all(path); }
};
} // namespace

TEST_CASE("an atomic write replaces the whole file and leaves nothing beside it") {
    TemporaryFolder folder;
    const auto path = folder.path / "deep" / "settings.json";
    REQUIRE(writeFileAtomically(path, "first").ok());
    REQUIRE(writeFileAtomically(path, "second, longer").ok());
    CHECK(*readTextFile(path, 100) == "second, longer");
    CHECK(std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator()) == 1);
}

TEST_CASE("only regular files are opened, and opening never hangs") {
    TemporaryFolder folder;
    CHECK(ReadOnlyFile::open(folder.path).error().message.find("a folder") != std::string::npos);
    const auto pipe = folder.path / "pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(ReadOnlyFile::open(pipe).error().message.find("a pipe") != std::string::npos);
    CHECK(ReadOnlyFile::open(folder.path / "none").error().code == ErrorCode::NotFound);
}

TEST_CASE("a file that shrinks while it is read is an error, not a crash") {
    TemporaryFolder folder;
    const auto path = folder.path / "data";
    REQUIRE(writeFileAtomically(path, std::string(1000, 'x')).ok());
    auto file = ReadOnlyFile::open(path);
    REQUIRE(file.ok());
    fs::resize_file(path, 10);
    std::vector<std::uint8_t> bytes(1000);
    const auto read = file->read(0, bytes);
    REQUIRE_FALSE(read.ok());
    CHECK(read.error().message.find("changed while being read") != std::string::npos);
    CHECK_FALSE(readFile(path, 5).ok());
}
