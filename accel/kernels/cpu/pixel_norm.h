#pragma once

#include <cstdint>

#include "accel/kernels/cpu/kernel_set.h"
#include "accel/kernels/cpu/parallel_workers.h"

// RMS norm over the channels of each pixel, then SiLU, in one pass: what stands before every convolution of
// the video autoencoder.
//
//   v[p, c] = x[p, c] * gain[c] / max(|x[p]|, 1e-12)        |x[p]| = Euclidean length over c
//   out[p, c] = v / (1 + exp(-v))   or v
//
// P pixels, C channels. Arithmetic is float32 for both storage types.
namespace canopy::accel::kernels {

struct PixelNormParams {
    const void* x = nullptr;     ///< [P, C], pixels xStride elements apart
    void* out = nullptr;         ///< [P, C], pixels outStride elements apart; x and out do not overlap
    const float* gain = nullptr; ///< [C]; the caller has multiplied sqrt(C) in
    std::int64_t xStride = 0, outStride = 0;
    std::int64_t pixels = 0, channels = 0;
    bool silu = true;
    StorageDtype dtype = StorageDtype::Float32;
    KernelSet kernelSet = KernelSet::Portable; ///< one that isSupported() accepts
};

void pixelNorm(const PixelNormParams& params, const ParallelWorkers& parallel);

} // namespace canopy::accel::kernels
