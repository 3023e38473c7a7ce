#pragma once

#include <cuda.h>

#include <cstdint>

// Hopper's barriers, bulk tensor copies and register reallocation as functions (PTX ISA 8.0).
namespace canopy::accel::cuda::hopper {

__device__ __forceinline__ std::uint32_t sharedAddress(const void* pointer) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ __forceinline__ void initBarrier(std::uint32_t barrier, std::uint32_t arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

/// Makes initialised barriers visible to the copy engine; before the block's first __syncthreads().
__device__ __forceinline__ void fenceBarrierInit() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ __forceinline__ void arrive(std::uint32_t barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/// One arrival, and the phase does not end before `bytes` more were copied.
__device__ __forceinline__ void arriveExpecting(std::uint32_t barrier, std::uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
                 : "memory");
}

/// Returns once the phase of this parity has ended. A fresh barrier counts as having ended parity 1.
__device__ __forceinline__ void waitBarrier(std::uint32_t barrier, std::uint32_t parity) {
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@done bra.uni finished;\n"
                 "bra.uni again;\n"
                 "finished:\n"
                 "}" ::"r"(barrier),
                 "r"(parity)
                 : "memory");
}

/// Box of a [B, H, L, D] tensor map (D innermost) to shared memory; completes on `barrier`. What lies beyond
/// the tensor arrives as 0.
__device__ __forceinline__ void loadBox(std::uint32_t destination, const CUtensorMap& map,
                                        std::uint32_t barrier, std::int32_t column, std::int32_t token,
                                        std::int32_t head, std::int32_t batch) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(destination),
                 "l"(&map), "r"(barrier), "r"(column), "r"(token), "r"(head), "r"(batch)
                 : "memory");
}

// Two blocks of a cluster: each reads half of what both need, and the copy engine writes it to both.

__device__ __forceinline__ std::uint32_t rankInCluster() {
    std::uint32_t rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

/// All threads of all blocks of the cluster. What was written to shared memory before is visible after.
__device__ __forceinline__ void syncCluster() {
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::
                     : "memory");
}

/// Arrives on the barrier at this address in block `rank` of the cluster.
__device__ __forceinline__ void arriveAt(std::uint32_t barrier, std::uint32_t rank) {
    asm volatile("{\n"
                 ".reg .b32 there;\n"
                 "mapa.shared::cluster.u32 there, %0, %1;\n"
                 "mbarrier.arrive.shared::cluster.b64 _, [there];\n"
                 "}" ::"r"(barrier),
                 "r"(rank)
                 : "memory");
}

/// Box of a [B, heads, cells, S, D] map (D innermost, S tokens to a cell): token `token` of cells from `cell`
/// on.
__device__ __forceinline__ void loadCells(std::uint32_t destination, const CUtensorMap& map,
                                          std::uint32_t barrier, std::int32_t column, std::int32_t token,
                                          std::int32_t cell, std::int32_t head, std::int32_t batch) {
    asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3, %4, %5, %6, %7}], [%2];" ::"r"(destination),
                 "l"(&map), "r"(barrier), "r"(column), "r"(token), "r"(cell), "r"(head), "r"(batch)
                 : "memory");
}

/// The same to the same place of both blocks of the cluster, each of whose barriers counts the bytes.
__device__ __forceinline__ void loadCellsToBoth(std::uint32_t destination, const CUtensorMap& map,
                                                std::uint32_t barrier, std::int32_t column,
                                                std::int32_t token, std::int32_t cell, std::int32_t head,
                                                std::int32_t batch) {
    constexpr std::uint16_t kBoth = 3;
    asm volatile(
        "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
        "[%0], [%1, {%3, %4, %5, %6, %7}], [%2], %8;" ::"r"(destination),
        "l"(&map), "r"(barrier), "r"(column), "r"(token), "r"(cell), "r"(head), "r"(batch), "h"(kBoth)
        : "memory");
}

__device__ __forceinline__ void prefetchMap(const CUtensorMap& map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

/// Ordinary accesses to shared memory before this come before the copy engine's after it.
__device__ __forceinline__ void fenceAsyncProxy() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

template <int Registers>
__device__ __forceinline__ void growRegisters() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}

template <int Registers>
__device__ __forceinline__ void shrinkRegisters() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}

/// Four 8 x 8 matrices of 16-bit values from the layout of an accumulator to rows of 16 bytes; lane l gives
/// the address of row l % 8 of matrix l / 8.
__device__ __forceinline__ void storeMatrices(std::uint32_t row, const std::uint32_t (&m)[4]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared::cta.b16 [%0], {%1, %2, %3, %4};" ::"r"(row),
                 "r"(m[0]), "r"(m[1]), "r"(m[2]), "r"(m[3])
                 : "memory");
}

/// The inverse of storeMatrices(): rows of 16 bytes to the layout of a product's register operand.
__device__ __forceinline__ void loadMatrices(std::uint32_t (&m)[4], std::uint32_t row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared::cta.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(row)
                 : "memory");
}

__device__ __forceinline__ uint4 loadShared16(std::uint32_t address) {
    uint4 value;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "r"(address)
                 : "memory");
    return value;
}

} // namespace canopy::accel::cuda::hopper
