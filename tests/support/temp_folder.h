#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>

namespace canopy::test {

/// An empty folder of this test's own, removed with everything in it.
class TempFolder {
public:
    TempFolder() {
        static std::atomic<int> count = 0;
        m_path = std::filesystem::temp_directory_path() /
                 ("canopy-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
        std::filesystem::create_directories(m_path);
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(m_path, ignored);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;

    const std::filesystem::path& path() const { return m_path; }
    std::filesystem::path operator/(const std::filesystem::path& name) const { return m_path / name; }

private:
    std::filesystem::path m_path;
};

} // namespace canopy::test
