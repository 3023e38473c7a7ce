#include "core/studio/machine.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

namespace canopy {

std::uint64_t availableMemoryBytes() {
    std::ifstream in("/proc/meminfo");
    std::string key;
    std::uint64_t kib = 0;
    std::string unit;
    while (in >> key >> kib) {
        if (key == "MemAvailable:")
            return kib * 1024;
        std::getline(in, unit);
    }
    return 0;
}

std::optional<Error> folderProblem(const std::filesystem::path& folder, std::uint64_t bytes) {
    std::error_code ec;
    std::filesystem::create_directories(folder, ec);
    int error = ec.value();
    if (error == 0 && ::access(folder.c_str(), W_OK | X_OK) != 0)
        error = errno;
    if (error != 0)
        return makeError(ErrorCode::Io,
                         std::string("The folder cannot be written to (") + std::strerror(error) +
                             "); choose another one or change its permissions: " + folder.string());
    struct statvfs disk {};
    if (::statvfs(folder.c_str(), &disk) != 0)
        return std::nullopt; // a file system that does not tell; writing will
    const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    if (free < bytes)
        return makeError(ErrorCode::Io,
                         "The disk is full: about " + gigabytes(bytes) + " are needed and " +
                             gigabytes(free) +
                             " are free; free some space or choose another folder: " + folder.string());
    return std::nullopt;
}

std::string machineName(DeviceKind device, const std::vector<std::string>& workerDevices) {
    if (device == DeviceKind::Cuda) {
        for (const std::string& name : workerDevices)
            if (name.starts_with("cuda"))
                return name;
        return "cuda";
    }
    std::string model = "processor";
    std::ifstream in("/proc/cpuinfo");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("model name")) {
            const auto at = line.find(':');
            if (at != std::string::npos)
                model = line.substr(line.find_first_not_of(" \t", at + 1));
            break;
        }
    return model + ", " + std::to_string(std::thread::hardware_concurrency()) + " threads";
}

std::string gigabytes(std::uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, bytes < 100'000'000 ? "%.2f GB" : "%.1f GB",
                  static_cast<double>(bytes) / 1e9);
    return text;
}

} // namespace canopy
