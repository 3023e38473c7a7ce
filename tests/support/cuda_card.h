#pragma once

#include <ATen/Context.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <utility>

#include "accel/runtime/cuda_loader.h"
#include "accel/runtime/device.h"
#include "accel/runtime/kernel_table.h"
#include "core/base/files.h"

namespace canopy::accel {

/// The card, opened once; null, with the reason printed, where this machine or build has none.
inline Device* card() {
    static const std::unique_ptr<Device> device = []() -> std::unique_ptr<Device> {
        if (const auto count = cudaDeviceCount(); !count) {
            MESSAGE("skipped: ", count.error().message);
            return nullptr;
        }
        if (!std::filesystem::exists(executableFolder() / "libcanopy_cuda.so")) {
            MESSAGE("skipped: this build has no CUDA module");
            return nullptr;
        }
        auto loaded = loadCuda();
        REQUIRE_MESSAGE(loaded.ok(), loaded.error().message);
        return std::move(*loaded);
    }();
    if (!device)
        MESSAGE("skipped: no card");
    return device.get();
}

/// The same where it is a Hopper card, which alone estimates blocks.
inline Device* hopperCard() {
    Device* device = card();
    if (device && !device->kernels()->blockScore)
        MESSAGE("skipped: not a Hopper card");
    return device && device->kernels()->blockScore ? device : nullptr;
}

/// LibTorch then fills every at::empty with NaN: outputs, workspaces and lists come poisoned.
struct PoisonedMemory {
    PoisonedMemory() { at::globalContext().setDeterministicAlgorithms(true, false); }
    ~PoisonedMemory() { at::globalContext().setDeterministicAlgorithms(false, false); }
};

} // namespace canopy::accel
