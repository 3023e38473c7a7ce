#include "accel/cuda/block_attention.h"
#include "accel/cuda/block_score.h"
#include "accel/cuda/cuda_device.h"
#include "accel/cuda/mask_drift.h"
#include "accel/cuda/probe.h"
#include "accel/cuda/row_ops.h"
#include "accel/runtime/kernel_table.h"

namespace canopy::accel::cuda {

namespace {

constexpr const char* kArchitectures = CANOPY_CUDA_ARCHITECTURES;
constexpr KernelTable kHopperKernels{
    .probe = probe,
    .name = "hopper",
    .blockAttention = blockAttention,
    .blockAttentionMma = blockAttentionMma,
    .isFastestDense = true,
    .blockScore = blockScore,
    .maskDrift = maskDrift,
    .layerNorm = layerNorm,
    .gateAdd = gateAdd,
    .normRope = normRope,
};
constexpr KernelTable kOtherKernels{
    .probe = probe,
    .name = "ampere",
    .blockAttention = blockAttentionMma,
    .blockAttentionMma = blockAttentionMma,
    .isFastestDense = false,
    .blockScore = nullptr,
    .maskDrift = maskDrift,
    .layerNorm = layerNorm,
    .gateAdd = gateAdd,
    .normRope = normRope,
};

Result<std::unique_ptr<Device>> makeDevice(int index) {
    return makeCudaDevice(index, {kHopperKernels, kOtherKernels}, kArchitectures);
}

constexpr CudaModule kModule{kCudaModuleAbi, kArchitectures, makeDevice};

} // namespace

} // namespace canopy::accel::cuda

extern "C" __attribute__((visibility("default"))) const canopy::accel::CudaModule* canopyCudaModule() {
    return &canopy::accel::cuda::kModule;
}
