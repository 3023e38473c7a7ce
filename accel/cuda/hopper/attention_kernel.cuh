#pragma once

#include "accel/cuda/hopper/consumer.cuh"
#include "accel/cuda/hopper/producer.cuh"

namespace canopy::accel::cuda::hopper {

constexpr int kAttentionThreads = 384;

/// Persistent: one block per multiprocessor, tiles by ticket. Warpgroup 0 loads, 1 and 2 compute.
template <int D>
__global__ void __launch_bounds__(kAttentionThreads, 1)
    attendKernel(const __grid_constant__ KernelArgs args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL // a module for several architectures compiles an empty body for the others
    using Layout = SharedLayout<D>;
    extern __shared__ std::uint8_t memory[];
    const std::uint32_t base = (sharedAddress(memory) + 1023U) & ~1023U;
    auto& control = *reinterpret_cast<typename Layout::Control*>(memory + (base - sharedAddress(memory)) +
                                                                 Layout::kControl);
    if (threadIdx.x == 0) {
        prefetchMap(args.q);
        prefetchMap(args.k);
        prefetchMap(args.v);
        for (int i = 0; i < Layout::kSlots; ++i) {
            initBarrier(sharedAddress(&control.slotFull[i]), 1);
            initBarrier(sharedAddress(&control.slotEmpty[i]), kConsumerWarps);
        }
        for (int i = 0; i < kTickets; ++i) {
            initBarrier(sharedAddress(&control.ticketFull[i]), 1);
            initBarrier(sharedAddress(&control.ticketEmpty[i]), kConsumerWarps);
        }
        fenceBarrierInit();
    }
    __syncthreads();
    // Uniform for the compiler, so that descriptors and ring places stay in uniform registers.
    const int group = __shfl_sync(0xFFFFFFFFU, static_cast<int>(threadIdx.x / 128), 0);
    if (group == 0) {
        shrinkRegisters<24>();
        if (threadIdx.x < 32)
            Producer<D>(args, base, control).run();
    } else {
        growRegisters<240>();
        Consumer<D>(args, base, control, group - 1).run();
    }
#endif
}

} // namespace canopy::accel::cuda::hopper
