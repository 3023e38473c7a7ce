#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/result.h"

namespace canopy::accel {

class Device;

namespace cuda {
struct BlockAttentionParams;
struct BlockScoreParams;
struct GateAddParams;
struct LayerNormParams;
struct MaskDriftParams;
struct NormRopeParams;
} // namespace cuda

/// Raised whenever KernelTable, CudaModule, Device or a type they name changes its layout.
inline constexpr std::uint32_t kCudaModuleAbi = 5;

/// Entry points of our kernels: raw device pointers, sizes and a cudaStream_t; no LibTorch type. Each returns
/// a cudaError_t as int, 0 for success, and only queues its work. `ops` checks arguments and chooses.
struct KernelTable {
    /// Writes `value + index` to `count` ints. Proves that the module holds code for this card.
    int (*probe)(std::int32_t* out, std::int32_t count, std::int32_t value, void* stream);
    const char* name; ///< of the set, as clips store it: "hopper", "ampere"
    /// Attention over all or chosen keys (accel/cuda/block_attention.h), by the form for this card.
    int (*blockAttention)(const cuda::BlockAttentionParams& params, void* stream);
    /// By the form for cards from compute capability 8.0 on, which tests run on any.
    int (*blockAttentionMma)(const cuda::BlockAttentionParams& params, void* stream);
    /// Whether blockAttention is the faster one beside LibTorch's without lists, too: measured on Hopper.
    bool isFastestDense;
    /// Chooses blocks of keys by an estimate (accel/cuda/block_score.h). Null on cards other than Hopper's.
    int (*blockScore)(const cuda::BlockScoreParams& params, void* stream);
    /// Which heads choose anew (accel/cuda/mask_drift.h).
    int (*maskDrift)(const cuda::MaskDriftParams& params, void* stream);
    // Per-token passes (accel/cuda/row_ops.h).
    int (*layerNorm)(const cuda::LayerNormParams& params, void* stream);
    int (*gateAdd)(const cuda::GateAddParams& params, void* stream);
    int (*normRope)(const cuda::NormRopeParams& params, void* stream);
};

/// What libcanopy_cuda.so hands out under kCudaModuleSymbol.
struct CudaModule {
    std::uint32_t abi;
    const char* architectures; ///< those the kernels were compiled for ("90a", "80;86")
    /// Card `index`, its probe run. LibTorch's exceptions end here.
    Result<std::unique_ptr<Device>> (*makeDevice)(int index);
};

/// `extern "C" const CudaModule* canopyCudaModule()`
inline constexpr const char* kCudaModuleSymbol = "canopyCudaModule";
using CudaModuleEntry = const CudaModule* (*)();

/// Kernels of the card that loadCuda() opened last in this process; null before. For `ops`, which meets
/// tensors and no Device.
const KernelTable* cardKernels();

} // namespace canopy::accel
