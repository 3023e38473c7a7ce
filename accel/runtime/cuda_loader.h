#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "core/base/result.h"

namespace canopy::accel {

class Device;

/// Which libraries loadCuda() opens. Tests name others.
struct CudaLibraries {
    std::filesystem::path driver = "libcuda.so.1";
    /// Empty: libtorch_cuda.so beside the libtorch_cpu.so of this process.
    std::filesystem::path torchCuda;
    /// Empty: libcanopy_cuda.so beside the executable.
    std::filesystem::path module;
};

/// How many cards the driver offers, or why there is none. Opens the driver only; LibTorch stays untouched.
Result<int> cudaDeviceCount(const CudaLibraries& libraries = {});

/// Opens driver, libtorch_cuda.so and our module, in this order and only as far as each succeeds, and returns
/// card `index`. Called once, before this process first uses ATen: LibTorch asks for its CUDA back end then
/// and remembers the answer. The libraries stay loaded for the life of the process. The error is a sentence
/// for a person; without a driver or a card its code is NotFound.
Result<std::unique_ptr<Device>> loadCuda(int index = 0, const CudaLibraries& libraries = {});

} // namespace canopy::accel
