#include <malloc.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "accel/runtime/device.h"
#include "core/base/log.h"

namespace canopy::accel {

namespace {

/// "VmRSS:     1234 kB" of a /proc file, in bytes; 0 when the line is missing.
std::uint64_t procBytes(const char* file, std::string_view key) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with(key))
            continue;
        const auto digit = line.find_first_of("0123456789");
        std::uint64_t kib = 0;
        if (digit != std::string::npos)
            std::from_chars(line.data() + digit, line.data() + line.size(), kib);
        return kib * 1024;
    }
    return 0;
}

/// One number in a file of the control group; "max" and a missing file mean no limit.
std::optional<std::uint64_t> controlGroupBytes(const char* file) {
    std::ifstream in(file);
    std::uint64_t bytes = 0;
    if (in >> bytes)
        return bytes;
    return std::nullopt;
}

std::string processorName() {
    std::ifstream in("/proc/cpuinfo");
    for (std::string line; std::getline(in, line);) {
        const auto colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos)
            return line.substr(colon + 2);
    }
    return "CPU";
}

/// Work on the CPU is done when its call returns, so every event is already past.
class CpuDevice final : public Device {
public:
    DeviceKind kind() const override { return DeviceKind::Cpu; }
    const std::string& name() const override { return m_name; }
    c10::Device torchDevice() const override { return c10::Device(c10::kCPU); }

    DeviceMemory memory() const override {
        DeviceMemory memory;
        memory.totalBytes = procBytes("/proc/meminfo", "MemTotal:");
        memory.freeBytes = procBytes("/proc/meminfo", "MemAvailable:");
        if (const auto limit = controlGroupBytes("/sys/fs/cgroup/memory.max")) {
            const auto used = controlGroupBytes("/sys/fs/cgroup/memory.current").value_or(0);
            memory.totalBytes = std::min(memory.totalBytes, *limit);
            memory.freeBytes = std::min(memory.freeBytes, *limit - std::min(used, *limit));
        }
        memory.allocatedBytes = procBytes("/proc/self/status", "VmRSS:");
        memory.reservedBytes = memory.allocatedBytes;
        memory.peakBytes = procBytes("/proc/self/status", "VmHWM:");
        return memory;
    }

    void resetPeak() override {
        // proc(5): 5 sets the high-water mark of this process to its present size.
        std::ofstream out("/proc/self/clear_refs");
        out << "5" << std::flush;
        if (!out)
            logWarning(
                "engine",
                "The kernel refused to reset the peak of memory; the peak shown is that of the process.");
    }
    void emptyCache() override { malloc_trim(0); }

    std::uint64_t recordEvent() override { return ++m_ticket; }
    void waitEvent(std::uint64_t) override {}
    void synchronize() override {}
    void* stream() const override { return nullptr; }
    const KernelTable* kernels() const override { return nullptr; }

private:
    std::string m_name = processorName();
    std::uint64_t m_ticket = 0;
};

} // namespace

std::unique_ptr<Device> makeCpuDevice() {
    return std::make_unique<CpuDevice>();
}

} // namespace canopy::accel
