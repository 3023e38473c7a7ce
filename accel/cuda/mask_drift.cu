#include "accel/cuda/mask_drift.h"

#include <cuda_runtime_api.h>

namespace canopy::accel::cuda {

namespace {

constexpr int kThreads = 1024;

/// One block: a warp per head at a time for the sums, then a thread per head for the decision.
__global__ void __launch_bounds__(kThreads) maskDriftKernel(MaskDriftParams p) {
    __shared__ float drift[kMostDriftHeads];
    __shared__ bool anew[kMostDriftHeads];
    const auto thread = static_cast<std::int32_t>(threadIdx.x);
    const std::int32_t lane = thread % 32;
    for (std::int32_t head = thread / 32; head < p.heads; head += kThreads / 32) {
        float sum = 0.0F;
        for (std::int32_t at = head * p.headDim + lane; at < (head + 1) * p.headDim; at += 32)
            sum += fabsf(p.anchorQ[at] - p.q[at]) + fabsf(p.anchorK[at] - p.k[at]);
        for (int step = 16; step > 0; step /= 2)
            sum += __shfl_xor_sync(0xFFFFFFFFU, sum, step);
        if (lane == 0) {
            drift[head] = sum;
            p.drift[head] = sum;
        }
    }
    if (!p.anew)
        return;
    __syncthreads();
    const bool isHead = thread < p.heads;
    const double own = isHead ? static_cast<double>(drift[thread]) : 0.0;
    const bool wants = isHead && own > p.delta;
    const double share = static_cast<double>(__syncthreads_count(wants)) / static_cast<double>(p.heads);
    if (isHead) {
        const bool chooses = share > p.gateHigh || (share >= p.gateLow && wants) ||
                             (p.hardCap && own > 2 * p.delta) ||
                             (p.maxAge > 0 && p.step - p.chosenAt[thread] >= p.maxAge);
        anew[thread] = chooses;
        p.anew[thread] = chooses ? 1 : 0;
        if (chooses)
            p.chosenAt[thread] = p.step;
    }
    __syncthreads();
    for (std::int32_t at = thread; at < p.heads * p.headDim; at += kThreads) {
        if (!anew[at / p.headDim])
            continue;
        p.anchorQ[at] = p.q[at];
        p.anchorK[at] = p.k[at];
    }
}

} // namespace

int maskDrift(const MaskDriftParams& params, void* stream) {
    maskDriftKernel<<<1, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(params);
    return cudaGetLastError();
}

} // namespace canopy::accel::cuda
