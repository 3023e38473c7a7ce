// Stands in for libcanopy_cuda.so; FAKE_MODULE_ABI says which interface it claims.
#include <cstdlib>

#include "accel/runtime/device.h"
#include "accel/runtime/kernel_table.h"

namespace {

canopy::Result<std::unique_ptr<canopy::accel::Device>> refuse(int index) {
    return canopy::makeError(canopy::ErrorCode::Unsupported, "fake card " + std::to_string(index));
}

canopy::accel::CudaModule module{canopy::accel::kCudaModuleAbi, "90a", refuse};

} // namespace

extern "C" const canopy::accel::CudaModule* canopyCudaModule() {
    if (const char* abi = std::getenv("FAKE_MODULE_ABI"))
        module.abi = static_cast<std::uint32_t>(std::atoi(abi));
    return &module;
}
