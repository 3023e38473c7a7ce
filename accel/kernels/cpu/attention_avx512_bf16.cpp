#include "accel/kernels/cpu/attention_avx512_half_isa.h"
#include "accel/kernels/cpu/attention_tile.h"
#include "accel/kernels/cpu/block_score_tile.h"

namespace canopy::accel::kernels {
namespace {

struct Tag;

/// Products by vdpbf16ps: a unit is a pair of bfloat16, a lane adds both products.
struct Avx512HalfIsa : Avx512HalfLanes<Tag> {
    using Unit = __m512i;
    static Unit loadUnits(const void* p) { return _mm512_loadu_si512(p); }
    static Unit broadcastUnit(const std::uint32_t* p) { return _mm512_set1_epi32(static_cast<int>(*p)); }
    static Vec multiplyAdd(Vec acc, Unit a, Unit b) {
        return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
    }
};

} // namespace

extern const AttentionKernels kAvx512Half;
const AttentionKernels kAvx512Half = makeKernels<Avx512HalfIsa>();
extern const BlockScoreKernels kAvx512HalfScore;
const BlockScoreKernels kAvx512HalfScore = makeScoreKernels<Avx512HalfIsa>();

} // namespace canopy::accel::kernels
