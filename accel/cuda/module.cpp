#include "accel/cuda/block_attention.h"
#include "accel/cuda/block_score.h"
#include "accel/cuda/cuda_device.h"
#include "accel/cuda/probe.h"
#include "accel/runtime/kernel_table.h"

namespace canopy::accel::cuda {

namespace {

constexpr const char* kArchitectures = CANOPY_CUDA_ARCHITECTURES;
constexpr KernelTable kHopperKernels{probe, blockAttention, blockAttentionMma, true, blockScore};
constexpr KernelTable kOtherKernels{probe, blockAttentionMma, blockAttentionMma, false, nullptr};

Result<std::unique_ptr<Device>> makeDevice(int index) {
    return makeCudaDevice(index, {kHopperKernels, kOtherKernels}, kArchitectures);
}

constexpr CudaModule kModule{kCudaModuleAbi, kArchitectures, makeDevice};

} // namespace

} // namespace canopy::accel::cuda

extern "C" __attribute__((visibility("default"))) const canopy::accel::CudaModule* canopyCudaModule() {
    return &canopy::accel::cuda::kModule;
}
