#include "accel/runtime/cuda_loader.h"

#include <dlfcn.h>

#include <array>
#include <atomic>
#include <climits>
#include <string>

#include "accel/runtime/device.h"
#include "accel/runtime/kernel_table.h"
#include "core/base/files.h"

namespace canopy::accel {

namespace {

// Of the driver's C interface, by its documentation: these names and numbers do not change.
constexpr int kDriverNoDevice = 100;
constexpr int kCudaNeeded = 13000; // the wheel is built with CUDA 13.0

std::atomic<const KernelTable*> openedKernels{nullptr};

using InitCall = int (*)(unsigned);
using CountCall = int (*)(int*);
using VersionCall = int (*)(int*);

std::string lastDlError() {
    const char* text = dlerror();
    return text ? text : "the loader gave no reason";
}

template <typename Call>
Call symbol(void* library, const char* name) {
    return reinterpret_cast<Call>(dlsym(library, name));
}

Error driverError(const char* call, int code) {
    return makeError(ErrorCode::Unsupported,
                     "The NVIDIA driver answered error " + std::to_string(code) + " to " + call +
                         ". Check it with nvidia-smi, or restart the machine after a driver "
                         "update. Clips can be made on the CPU meanwhile.");
}

/// Folder of the libtorch_cpu.so that this process runs with.
Result<std::filesystem::path> torchFolder() {
    void* torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
    std::array<char, PATH_MAX> origin{};
    if (!torch || dlinfo(torch, RTLD_DI_ORIGIN, origin.data()) != 0)
        return makeError(ErrorCode::Internal, "This process runs without libtorch_cpu.so: " + lastDlError());
    return std::filesystem::path(origin.data());
}

} // namespace

Result<int> cudaDeviceCount(const CudaLibraries& libraries) {
    void* driver = dlopen(libraries.driver.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!driver) {
        return makeError(ErrorCode::NotFound,
                         "No NVIDIA driver is installed, so clips are made on the CPU (" + lastDlError() +
                             ").");
    }
    const auto init = symbol<InitCall>(driver, "cuInit");
    const auto count = symbol<CountCall>(driver, "cuDeviceGetCount");
    const auto version = symbol<VersionCall>(driver, "cuDriverGetVersion");
    if (!init || !count || !version) {
        return makeError(
            ErrorCode::Unsupported,
            "The NVIDIA driver lacks cuInit, cuDeviceGetCount or cuDriverGetVersion. Reinstall it: " +
                libraries.driver.string());
    }
    if (const int code = init(0); code == kDriverNoDevice)
        return makeError(ErrorCode::NotFound,
                         "The NVIDIA driver sees no card, so clips are made on the CPU.");
    else if (code != 0)
        return driverError("cuInit", code);

    int offered = 0;
    if (const int code = version(&offered); code != 0)
        return driverError("cuDriverGetVersion", code);
    if (offered < kCudaNeeded) {
        return makeError(
            ErrorCode::Unsupported,
            "The NVIDIA driver supports CUDA " + std::to_string(offered / 1000) + "." +
                std::to_string(offered % 1000 / 10) +
                "; CUDA 13.0 is needed (driver 580 or later). Update the driver, or use the CPU.");
    }
    int devices = 0;
    if (const int code = count(&devices); code != 0 && code != kDriverNoDevice)
        return driverError("cuDeviceGetCount", code);
    if (devices < 1)
        return makeError(ErrorCode::NotFound,
                         "The NVIDIA driver sees no card, so clips are made on the CPU.");
    return devices;
}

Result<std::unique_ptr<Device>> loadCuda(int index, const CudaLibraries& libraries) {
    const auto devices = cudaDeviceCount(libraries);
    if (!devices)
        return devices.error();
    if (index < 0 || index >= *devices) {
        return makeError(ErrorCode::InvalidArgument, "Card " + std::to_string(index) +
                                                         " was asked for, and the driver "
                                                         "sees " +
                                                         std::to_string(*devices) + ", counted from 0.");
    }

    auto torchCuda = libraries.torchCuda;
    if (torchCuda.empty()) {
        const auto folder = torchFolder();
        if (!folder)
            return folder.error();
        torchCuda = *folder / "libtorch_cuda.so";
    }
    // RTLD_GLOBAL: its operators register themselves, and our module takes its symbols from there.
    if (!dlopen(torchCuda.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
        return makeError(ErrorCode::NotFound,
                         "A card is there, and LibTorch's CUDA half cannot be loaded. Run "
                         "packaging/run once with a network connection to fetch what is missing: " +
                             lastDlError());
    }

    const auto modulePath =
        libraries.module.empty() ? executableFolder() / "libcanopy_cuda.so" : libraries.module;
    void* library = dlopen(modulePath.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        return makeError(ErrorCode::NotFound,
                         "A card is there, and the CUDA module of this program cannot be loaded. "
                         "Run packaging/run to build it: " +
                             lastDlError());
    }
    const auto entry = symbol<CudaModuleEntry>(library, kCudaModuleSymbol);
    if (!entry) {
        return makeError(
            ErrorCode::Malformed,
            "A library without canopyCudaModule was found where the CUDA module of this program should "
            "be. Run packaging/run to build it again: " +
                modulePath.string());
    }
    const CudaModule* module = entry();
    if (module->abi != kCudaModuleAbi) {
        return makeError(ErrorCode::Mismatch,
                         "The CUDA module has interface version " + std::to_string(module->abi) +
                             ", this program needs " + std::to_string(kCudaModuleAbi) +
                             ". Run packaging/run to build it again: " + modulePath.string());
    }
    auto device = module->makeDevice(index);
    if (device)
        openedKernels = (*device)->kernels();
    return device;
}

const KernelTable* cardKernels() {
    return openedKernels;
}

} // namespace canopy::accel
