#include "accel/runtime/device.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "accel/runtime/block_pacer.h"
#include "accel/runtime/cuda_loader.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

std::filesystem::path testLibrary(const char* name) {
    const char* folder = std::getenv("CANOPY_BIN_DIR");
    REQUIRE_MESSAGE(folder, "CANOPY_BIN_DIR is not set; run this through ctest");
    return std::filesystem::path(folder) / name;
}

/// Libraries of which all open; each case breaks one.
CudaLibraries fakes() {
    return {testLibrary("libfake_driver.so"), testLibrary("libfake_driver.so"),
            testLibrary("libfake_module.so")};
}

struct Variable {
    Variable(const char* name, const char* value)
        : m_name(name) {
        setenv(name, value, 1);
    }
    ~Variable() { unsetenv(m_name); }
    const char* m_name;
};

void expectError(const Result<std::unique_ptr<Device>>& result, ErrorCode code, const char* part) {
    REQUIRE_FALSE(result.ok());
    INFO(result.error().message);
    CHECK(result.error().code == code);
    CHECK(result.error().message.find(part) != std::string::npos);
}

/// Counts what BlockPacer asks of a device.
class CountingDevice final : public Device {
public:
    DeviceKind kind() const override { return DeviceKind::Cuda; }
    const std::string& name() const override { return m_name; }
    c10::Device torchDevice() const override { return c10::Device(c10::kCPU); }
    DeviceMemory memory() const override { return {}; }
    void resetPeak() override {}
    void emptyCache() override {}
    std::uint64_t recordEvent() override { return ++recorded; }
    void waitEvent(std::uint64_t ticket) override { waited.push_back(ticket); }
    void synchronize() override {}
    void* stream() const override { return nullptr; }
    const KernelTable* kernels() const override { return nullptr; }

    std::uint64_t recorded = 0;
    std::vector<std::uint64_t> waited;

private:
    std::string m_name = "counting";
};

} // namespace

TEST_CASE("each thing that keeps the card away is said in a sentence") {
    SUBCASE("no driver") {
        auto libraries = fakes();
        libraries.driver = "libno_such_driver.so.1";
        expectError(loadCuda(0, libraries), ErrorCode::NotFound, "No NVIDIA driver is installed");
    }
    SUBCASE("a library that is no driver") {
        auto libraries = fakes();
        libraries.driver = testLibrary("libfake_module.so");
        expectError(loadCuda(0, libraries), ErrorCode::Unsupported, "lacks cuInit");
    }
    SUBCASE("a driver without a card") {
        const Variable init("FAKE_DRIVER_INIT", "100");
        expectError(loadCuda(0, fakes()), ErrorCode::NotFound, "sees no card");
    }
    SUBCASE("a count of zero") {
        const Variable count("FAKE_DRIVER_COUNT", "0");
        expectError(loadCuda(0, fakes()), ErrorCode::NotFound, "sees no card");
    }
    SUBCASE("a driver that fails") {
        const Variable init("FAKE_DRIVER_INIT", "803");
        expectError(loadCuda(0, fakes()), ErrorCode::Unsupported, "error 803 to cuInit");
    }
    SUBCASE("a driver that is too old") {
        const Variable version("FAKE_DRIVER_VERSION", "12040");
        expectError(loadCuda(0, fakes()), ErrorCode::Unsupported, "supports CUDA 12.4; CUDA 13.0 is needed");
    }
    SUBCASE("a card that is not there") {
        expectError(loadCuda(1, fakes()), ErrorCode::InvalidArgument, "Card 1 was asked for");
    }
    SUBCASE("LibTorch's half is missing") {
        auto libraries = fakes();
        libraries.torchCuda = testLibrary("libno_such_torch.so");
        expectError(loadCuda(0, libraries), ErrorCode::NotFound, "LibTorch's CUDA half cannot be loaded");
    }
    SUBCASE("our module is missing") {
        auto libraries = fakes();
        libraries.module = testLibrary("libno_such_module.so");
        expectError(loadCuda(0, libraries), ErrorCode::NotFound,
                    "the CUDA module of this program cannot be loaded");
    }
    SUBCASE("another library in the place of our module") {
        auto libraries = fakes();
        libraries.module = testLibrary("libfake_driver.so");
        expectError(loadCuda(0, libraries), ErrorCode::Malformed, "without canopyCudaModule");
    }
    SUBCASE("what the module says is passed on") {
        expectError(loadCuda(0, fakes()), ErrorCode::Unsupported, "fake card 0");
    }
    SUBCASE("a module of another interface") {
        const Variable abi("FAKE_MODULE_ABI", "999");
        expectError(loadCuda(0, fakes()), ErrorCode::Mismatch, "interface version 999");
    }
}

TEST_CASE("the CPU measures the memory of this process") {
    const auto device = makeCpuDevice();
    CHECK(device->kind() == DeviceKind::Cpu);
    CHECK_FALSE(device->name().empty());
    CHECK(device->torchDevice().is_cpu());
    CHECK(device->kernels() == nullptr);

    device->resetPeak();
    const auto before = device->memory();
    CHECK(before.totalBytes > before.freeBytes);
    CHECK(before.freeBytes > 0);
    CHECK(before.allocatedBytes > 0);

    constexpr std::size_t kBytes = 64u << 20;
    {
        std::vector<char> used(kBytes, 1);
        CHECK(device->memory().allocatedBytes >= before.allocatedBytes + kBytes / 2);
    }
    device->emptyCache();
    CHECK(device->memory().peakBytes >= before.allocatedBytes + kBytes / 2);
    device->resetPeak();
    CHECK(device->memory().peakBytes < before.allocatedBytes + kBytes / 2);
}

TEST_CASE("the host stays at most two blocks ahead") {
    CountingDevice device;
    BlockPacer pacer(device);
    for (int block = 0; block < 5; ++block)
        pacer.blockQueued();
    CHECK(device.recorded == 5);
    CHECK(device.waited == std::vector<std::uint64_t>{1, 2, 3});
}

// With a card and the module built, the real thing; elsewhere the reason is printed and nothing is claimed.
TEST_CASE("the card of this machine answers") {
    const auto count = cudaDeviceCount();
    if (!count) {
        MESSAGE("skipped: ", count.error().message);
        return;
    }
    auto loaded = loadCuda();
    if (!loaded && !std::filesystem::exists(testLibrary("libcanopy_cuda.so"))) {
        MESSAGE("skipped: this build has no CUDA module");
        return;
    }
    REQUIRE_MESSAGE(loaded.ok(), loaded.error().message);
    const auto device = std::move(loaded).value();
    CHECK(device->kind() == DeviceKind::Cuda);
    CHECK(device->kernels() != nullptr);
    MESSAGE(device->name());
    const auto memory = device->memory();
    CHECK(memory.totalBytes > memory.freeBytes);
    for (std::uint64_t ticket = 1; ticket <= 2 * Device::kEventRing; ++ticket) {
        CHECK(device->recordEvent() == ticket);
        device->waitEvent(ticket > 2 ? ticket - 2 : 0);
    }
    device->waitEvent(1); // has left the ring
    device->synchronize();
    device->emptyCache();
    device->resetPeak();
    CHECK(device->memory().peakBytes == device->memory().allocatedBytes);
}
