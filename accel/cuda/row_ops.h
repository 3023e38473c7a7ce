#pragma once

#include <cstddef>
#include <cstdint>

// Fused per-token passes of a transformer block on a card: each row of C channels is read once and written
// once. Storage bfloat16, arithmetic float32. C is a multiple of 8, at most kMostRowChannels; rows start at
// multiples of 16 bytes. The same passes as accel/kernels/cpu/row_ops.h.
namespace canopy::accel::cuda {

/// Eight a thread; more threads would not leave each the registers it needs.
constexpr std::int64_t kMostRowChannels = 5120;
/// Tokens that one thread block walks through.
constexpr std::int64_t kRowSlab = 32;

/// out = layerNorm(x) * (scaleBase + scale) + shift. Token t takes row t / tokensPerRow of scale and shift.
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
};

/// out = x + gate * y, gate row t / tokensPerRow.
struct GateAddParams {
    const void* x = nullptr; ///< [L, C] contiguous
    const void* y = nullptr; ///< [L, C] contiguous
    void* out = nullptr;     ///< [L, C] contiguous
    const float* gate = nullptr;
    std::int64_t gateStride = 0;
    std::int64_t tokens = 0, channels = 0, tokensPerRow = 1;
};

/// out = rope(x / rms(x) * gain), the norm over the whole width C = H * D, rounded to bfloat16 between norm
/// and rotation as the public implementations do. The rotation turns channels (2j, 2j + 1) of every head;
/// without tables there is none.
struct NormRopeParams {
    const void* x = nullptr; ///< [L, H * D], rows xStride elements apart
    std::int64_t xStride = 0;
    void* out = nullptr;         ///< [L, H * D] contiguous
    const float* gain = nullptr; ///< [H * D]
    const float* cos = nullptr;  ///< [L, D / 2] contiguous, or null; then D is a multiple of 8
    const float* sin = nullptr;
    std::int64_t tokens = 0, channels = 0, headDim = 0;
    float eps = 0.0F;
    /// [H * D] or null: mean of `out` over tokens, the same bits on every call.
    float* mean = nullptr;
    void* workspace =
        nullptr; ///< meanWorkspaceBytes() where a mean is wanted, aligned to 16 bytes, any content
};

constexpr std::size_t meanWorkspaceBytes(std::int64_t tokens, std::int64_t channels) {
    return static_cast<std::size_t>((tokens + kRowSlab - 1) / kRowSlab * channels) * sizeof(float);
}

// Entries of KernelTable. Arguments are the caller's promise: ops check them.
int layerNorm(const LayerNormParams& params, void* stream);
int gateAdd(const GateAddParams& params, void* stream);
int normRope(const NormRopeParams& params, void* stream);

} // namespace canopy::accel::cuda
