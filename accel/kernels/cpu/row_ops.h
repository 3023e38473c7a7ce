#pragma once

#include <cstdint>

#include "accel/kernels/cpu/kernel_set.h"

// Fused per-token passes of a transformer block: each row of C channels is read once and written once.
// Arithmetic in float32, storage float32 or bfloat16. Sums run over sixteen interleaved partial sums on every
// instruction set, so that sets differ at most by the rounding of fused multiply-adds.
namespace canopy::accel::kernels {

struct ParallelWorkers;

constexpr std::int64_t kMaxRowChannels = 8192;

/// out = layerNorm(x) * (scaleBase + scale) + shift. Token t takes row t / tokensPerRow of scale and shift:
/// scaleBase 1 and one row per frame is adaptive modulation, scaleBase 0 and one row is a layer norm with
/// weight and bias.
struct LayerNormParams {
    const void* x = nullptr; ///< [L, C], rows xStride elements apart
    std::int64_t xStride = 0;
    void* out = nullptr;          ///< [L, C] contiguous
    const float* scale = nullptr; ///< [R, C], rows scaleStride apart
    const float* shift = nullptr; ///< [R, C], rows shiftStride apart
    std::int64_t scaleStride = 0, shiftStride = 0;
    std::int64_t tokens = 0, channels = 0, tokensPerRow = 1;
    float scaleBase = 1.0F;
    float eps = 0.0F;
    StorageDtype dtype = StorageDtype::Float32;
    KernelSet kernelSet = KernelSet::Portable;
};

/// out = x + gate * y, gate row t / tokensPerRow. out may be x.
struct GateAddParams {
    const void* x = nullptr; ///< [L, C] contiguous
    const void* y = nullptr; ///< [L, C] contiguous
    void* out = nullptr;     ///< [L, C] contiguous
    const float* gate = nullptr;
    std::int64_t gateStride = 0;
    std::int64_t tokens = 0, channels = 0, tokensPerRow = 1;
    StorageDtype dtype = StorageDtype::Float32;
    KernelSet kernelSet = KernelSet::Portable;
};

/// out = rope(x / rms(x) * gain), the norm over the whole width C = H * D. The rotation turns channels (2j,
/// 2j + 1) of every head; without tables there is none. A bfloat16 row is rounded between norm and rotation,
/// as the public implementations do.
struct NormRopeParams {
    const void* x = nullptr; ///< [L, H * D], rows xStride elements apart
    std::int64_t xStride = 0;
    void* out = nullptr;         ///< [L, H * D] contiguous
    const float* gain = nullptr; ///< [H * D]
    const float* cos = nullptr;  ///< [L, D / 2] contiguous, or null
    const float* sin = nullptr;
    std::int64_t tokens = 0, heads = 0, headDim = 0;
    float eps = 0.0F;
    StorageDtype dtype = StorageDtype::Float32;
    KernelSet kernelSet = KernelSet::Portable;
};

void layerNorm(const LayerNormParams& params, const ParallelWorkers& parallel);
void gateAdd(const GateAddParams& params, const ParallelWorkers& parallel);
void normRope(const NormRopeParams& params, const ParallelWorkers& parallel);

} // namespace canopy::accel::kernels
