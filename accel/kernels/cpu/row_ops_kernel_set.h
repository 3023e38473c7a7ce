#pragma once

#include <cstdint>

// Declarations only, for the reason given in attention_kernel_set.h.
namespace canopy::accel::kernels {

struct LayerNormParams;
struct GateAddParams;
struct NormRopeParams;

/// Tokens [first, last) by one instruction set; index 0 is float32 storage, 1 bfloat16.
struct RowKernels {
    void (*layerNorm[2])(const LayerNormParams&, std::int64_t first, std::int64_t last);
    void (*gateAdd[2])(const GateAddParams&, std::int64_t first, std::int64_t last);
    void (*normRope[2])(const NormRopeParams&, std::int64_t first, std::int64_t last);
};

extern const RowKernels kPortableRows;
#if CANOPY_X86_KERNELS
extern const RowKernels kAvx2Rows;
extern const RowKernels kAvx512Rows;
#endif

} // namespace canopy::accel::kernels
