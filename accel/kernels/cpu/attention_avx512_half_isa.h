#pragma once

#include "accel/kernels/cpu/attention_avx512_isa.h"

// Softmax and storage of the kernels whose products take pairs of bfloat16. Included inside an anonymous
// namespace's user only, as attention_avx512_isa.h.
namespace canopy::accel::kernels {

template <class Tag>
struct Avx512HalfLanes : Avx512Lanes<Tag> {
    using Lanes = Avx512Lanes<Tag>;
    using typename Lanes::Vec;
    static constexpr int kStep = 2;

    /// Degree 3 minimax in relative error: 7.5e-5, a twenty-sixth of half a bfloat16 unit.
    static Vec exp2(Vec x) {
        const typename Lanes::Split s = Lanes::split(x);
        Vec p = _mm512_set1_ps(0.0551716691F);
        p = _mm512_fmadd_ps(p, s.fraction, _mm512_set1_ps(0.2426111222F));
        p = _mm512_fmadd_ps(p, s.fraction, _mm512_set1_ps(0.6932609855F));
        p = _mm512_fmadd_ps(p, s.fraction, _mm512_set1_ps(0.9999280735F));
        // The low 9 bits of a NaN made of bfloat16 inputs are zero, so this addition leaves it a NaN.
        return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), s.exponent));
    }

    /// Lane by lane (first, second): convert both, then interleave the two halves of the register.
    static void storePair(float* p, Vec first, Vec second) {
        const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                               23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
        const __m512i both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
        _mm512_storeu_si512(p, _mm512_permutexvar_epi16(order, both));
    }

    static void storeHalf(std::uint16_t* p, Vec x, int count) {
        const __m256i half = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
        _mm256_mask_storeu_epi16(p, Lanes::firstLanes(count), half);
    }
};

} // namespace canopy::accel::kernels
