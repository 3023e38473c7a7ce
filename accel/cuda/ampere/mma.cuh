#pragma once

#include <cstdint>

// Ampere's warp matrix product and asynchronous copies (PTX ISA 7.0). The accumulator's layout is that of
// RunningSoftmax: lane l holds columns 2 (l % 4) + {0, 1} of row l / 4 in d[0, 1] and of row l / 4 + 8 in
// d[2, 3].
namespace canopy::accel::cuda::ampere {

/// d += a b for a [16, 16], b [16, 8], all bfloat16 in registers.
__device__ __forceinline__ void multiplyAdd(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                            std::uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Four 8 x 8 matrices of 16-bit values; lane l gives the address of row l % 8 of matrix l / 8.
__device__ __forceinline__ void loadMatrices(std::uint32_t (&m)[4], std::uint32_t row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(row)
                 : "memory");
}
__device__ __forceinline__ void loadTransposed(std::uint32_t (&m)[4], std::uint32_t row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(row)
                 : "memory");
}

/// 16 bytes to shared memory, zeros where `exists` is false (the source is then not read).
__device__ __forceinline__ void copyAsync(std::uint32_t destination, const void* source, bool exists) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(destination), "l"(source),
                 "r"(exists ? 16 : 0)
                 : "memory");
}
__device__ __forceinline__ void commitCopies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
__device__ __forceinline__ void waitForCopies() {
    asm volatile("cp.async.wait_group 0;" ::: "memory");
}

} // namespace canopy::accel::cuda::ampere
