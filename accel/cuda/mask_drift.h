#pragma once

#include <cstdint>

// Drift of pooled queries and keys against those of each head's last choice, and which heads choose anew
// (temporal mask reuse; the rule is accel/policies/attention/temporal_mask_reuse.h's decideRefresh).
namespace canopy::accel::cuda {

constexpr std::int32_t kMostDriftHeads = 1024;

struct MaskDriftParams {
    const float* q = nullptr; ///< [H, D], means over tokens
    const float* k = nullptr; ///< [H, D]
    float* anchorQ = nullptr; ///< [H, D], at each head's last choice
    float* anchorK = nullptr; ///< [H, D]
    std::int32_t heads = 0;   ///< at most kMostDriftHeads
    std::int32_t headDim = 0;
    /// [H]: |anchorQ - q|_1 + |anchorK - k|_1, the same bits on every call.
    float* drift = nullptr;

    /// [H] or null. With it the decision is made: 1 where a head chooses anew; its anchor and step become the
    /// present ones.
    std::uint8_t* anew = nullptr;
    std::int32_t* chosenAt = nullptr; ///< [H], steps
    std::int32_t step = 0;
    double delta = 0, gateLow = 0, gateHigh = 0;
    bool hardCap = false;
    std::int32_t maxAge = 0; ///< 0: no limit
};

/// KernelTable::maskDrift. Arguments are the caller's promise: accel/ops/mask_drift.h checks them.
int maskDrift(const MaskDriftParams& params, void* stream);

} // namespace canopy::accel::cuda
