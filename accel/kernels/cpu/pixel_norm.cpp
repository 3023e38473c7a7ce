#include "accel/kernels/cpu/pixel_norm.h"

#include <cassert>

#include "accel/kernels/cpu/pixel_norm_kernel_set.h"

namespace canopy::accel::kernels {
namespace {

const PixelNormKernels& pixelNormKernels(KernelSet set) {
    assert(isSupported(set));
#if CANOPY_X86_KERNELS
    if (set == KernelSet::Avx512 || set == KernelSet::Avx512Bf16 || set == KernelSet::Amx)
        return kAvx512PixelNorm;
    if (set == KernelSet::Avx2)
        return kAvx2PixelNorm;
#else
    (void)set;
#endif
    return kPortablePixelNorm;
}

} // namespace

void pixelNorm(const PixelNormParams& params, const ParallelWorkers& parallel) {
    const auto run =
        pixelNormKernels(params.kernelSet).run[params.dtype == StorageDtype::BFloat16][params.silu ? 1 : 0];
    const int workers = parallel.workers;
    parallel.run([&](int worker) {
        run(params, params.pixels * worker / workers, params.pixels * (worker + 1) / workers);
    });
}

} // namespace canopy::accel::kernels
