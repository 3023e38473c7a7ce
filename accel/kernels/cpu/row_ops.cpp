#include "accel/kernels/cpu/row_ops.h"

#include <cassert>

#include "accel/kernels/cpu/parallel_workers.h"
#include "accel/kernels/cpu/row_ops_kernel_set.h"

namespace canopy::accel::kernels {
namespace {

const RowKernels& rowKernels(KernelSet set) {
    assert(isSupported(set));
#if CANOPY_X86_KERNELS
    if (set == KernelSet::Avx512 || set == KernelSet::Avx512Bf16 || set == KernelSet::Amx)
        return kAvx512Rows;
    if (set == KernelSet::Avx2)
        return kAvx2Rows;
#else
    (void)set;
#endif
    return kPortableRows;
}

/// Rows are independent and cost the same: one stretch per worker.
template <class Params, class Kernel>
void overTokens(const Params& params, Kernel kernel, const ParallelWorkers& parallel) {
    const int workers = parallel.workers;
    parallel.run([&](int worker) {
        kernel(params, params.tokens * worker / workers, params.tokens * (worker + 1) / workers);
    });
}

int storageIndex(StorageDtype dtype) {
    return dtype == StorageDtype::BFloat16 ? 1 : 0;
}

} // namespace

void layerNorm(const LayerNormParams& params, const ParallelWorkers& parallel) {
    assert(params.channels <= kMaxRowChannels);
    overTokens(params, rowKernels(params.kernelSet).layerNorm[storageIndex(params.dtype)], parallel);
}

void gateAdd(const GateAddParams& params, const ParallelWorkers& parallel) {
    overTokens(params, rowKernels(params.kernelSet).gateAdd[storageIndex(params.dtype)], parallel);
}

void normRope(const NormRopeParams& params, const ParallelWorkers& parallel) {
    assert(params.heads * params.headDim <= kMaxRowChannels && params.headDim % 2 == 0);
    overTokens(params, rowKernels(params.kernelSet).normRope[storageIndex(params.dtype)], parallel);
}

} // namespace canopy::accel::kernels
