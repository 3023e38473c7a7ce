#include "accel/kernels/cpu/attention_avx512_isa.h"
#include "accel/kernels/cpu/attention_tile.h"
#include "accel/kernels/cpu/block_score_tile.h"

namespace canopy::accel::kernels {
namespace {

struct Tag;

struct Avx512FloatIsa : Avx512Lanes<Tag> {
    using Unit = __m512;
    static constexpr int kStep = 1;

    static Unit loadUnits(const void* p) { return _mm512_loadu_ps(p); }
    static Unit broadcastUnit(const std::uint32_t* p) {
        return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(*p)));
    }
    static Vec multiplyAdd(Vec acc, Unit a, Unit b) { return _mm512_fmadd_ps(a, b, acc); }

    /// Degree 5 minimax in relative error: 7.5e-8.
    static Vec exp2(Vec x) {
        const Split s = split(x);
        Vec p = _mm512_set1_ps(0.0013276472F);
        p = _mm512_fmadd_ps(p, s.fraction, _mm512_set1_ps(0.0096755413F));
        p = _mm512_fmadd_ps(p, s.fraction, _mm512_set1_ps(0.0555071327F));
        p = _mm512_fmadd_ps(p, s.fraction, _mm512_set1_ps(0.2402211972F));
        p = _mm512_fmadd_ps(p, s.fraction, _mm512_set1_ps(0.6931469671F));
        p = _mm512_fmadd_ps(p, s.fraction, _mm512_set1_ps(1.0000000717F));
        const __m512i power = _mm512_add_epi32(s.exponent, _mm512_set1_epi32(127 << 23));
        return _mm512_mul_ps(
            p, _mm512_castsi512_ps(power)); // a product, not an addition of bits: NaN must survive
    }

    static void storeHalf(std::uint16_t* p, Vec x, int count) {
        // Round to nearest, ties to even; a NaN becomes the quiet NaN.
        const __m512i bits = _mm512_castps_si512(x);
        const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
        __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
        rounded = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                                        _mm512_set1_epi32(0x7fc00000));
        _mm512_mask_cvtepi32_storeu_epi16(p, firstLanes(count), _mm512_srli_epi32(rounded, 16));
    }
};

} // namespace

extern const AttentionKernels kAvx512Float;
const AttentionKernels kAvx512Float = makeKernels<Avx512FloatIsa>();
extern const BlockScoreKernels kAvx512FloatScore;
const BlockScoreKernels kAvx512FloatScore = makeScoreKernels<Avx512FloatIsa>();

} // namespace canopy::accel::kernels
