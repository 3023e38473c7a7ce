#include "accel/kernels/cpu/pixel_norm.h"
#include "accel/kernels/cpu/pixel_norm_kernel_set.h"
#include "accel/kernels/cpu/pixel_norm_pixels.h"

namespace canopy::accel::kernels {

extern const PixelNormKernels kAvx512PixelNorm;
const PixelNormKernels kAvx512PixelNorm = makePixelNormKernels();

} // namespace canopy::accel::kernels
