#pragma once

#include <cstdint>

// Declarations only, for the reason given in attention_kernel_set.h.
namespace canopy::accel::kernels {

struct PixelNormParams;

/// Pixels [first, last) by one instruction set; [storage: 0 float32, 1 bfloat16][0 norm only, 1 norm and
/// SiLU].
struct PixelNormKernels {
    void (*run[2][2])(const PixelNormParams&, std::int64_t first, std::int64_t last);
};

extern const PixelNormKernels kPortablePixelNorm;
#if CANOPY_X86_KERNELS
extern const PixelNormKernels kAvx2PixelNorm;
extern const PixelNormKernels kAvx512PixelNorm;
#endif

} // namespace canopy::accel::kernels
