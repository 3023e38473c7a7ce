#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

// Sixteen float32 lanes; shared by the float32 and the bfloat16 kernels. Included inside an anonymous
// namespace's user only: a class with internal linkage derives from Avx512Lanes<Tag>.
namespace canopy::accel::kernels {

template <class Tag>
struct Avx512Lanes {
    using Vec = __m512;
    static constexpr int kLanes = 16;
    static constexpr int kQueryVectors = 2;
    static constexpr int kRows = 8;

    static Vec zero() { return _mm512_setzero_ps(); }
    static Vec broadcast(float x) { return _mm512_set1_ps(x); }
    static Vec load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, Vec x) { _mm512_storeu_ps(p, x); }
    static Vec loadBits(const std::uint32_t* p) { return _mm512_castsi512_ps(_mm512_loadu_si512(p)); }
    static void storeBits(std::uint32_t* p, Vec x) { _mm512_storeu_si512(p, _mm512_castps_si512(x)); }
    static Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
    static Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
    static Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
    static Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }

    static __mmask16 firstLanes(int count) { return static_cast<__mmask16>((1U << count) - 1U); }
    static void storeSome(float* p, Vec x, int count) { _mm512_mask_storeu_ps(p, firstLanes(count), x); }

    /// 16 x 16 in four rounds: 32-bit and 64-bit interleaving inside 128-bit lanes, then lanes themselves.
    static void transpose(Vec (&r)[16]) {
        Vec t[16];
        for (int i = 0; i < 16; i += 2) {
            t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
            t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
        }
        const auto low = [](Vec a, Vec b) {
            return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
        };
        const auto high = [](Vec a, Vec b) {
            return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
        };
        Vec u[16]; // u[4 g + c]: column 4 l + c of rows 4 g .. 4 g + 3 in lane l
        for (int g = 0; g < 16; g += 4) {
            u[g] = low(t[g], t[g + 2]);
            u[g + 1] = high(t[g], t[g + 2]);
            u[g + 2] = low(t[g + 1], t[g + 3]);
            u[g + 3] = high(t[g + 1], t[g + 3]);
        }
        for (int c = 0; c < 4; ++c) {
            const Vec a = _mm512_shuffle_f32x4(u[c], u[4 + c], 0x88);
            const Vec b = _mm512_shuffle_f32x4(u[c], u[4 + c], 0xdd);
            const Vec d = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x88);
            const Vec e = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xdd);
            r[c] = _mm512_shuffle_f32x4(a, d, 0x88);
            r[c + 8] = _mm512_shuffle_f32x4(a, d, 0xdd);
            r[c + 4] = _mm512_shuffle_f32x4(b, e, 0x88);
            r[c + 12] = _mm512_shuffle_f32x4(b, e, 0xdd);
        }
    }

    /// 2^x = 2^n 2^f, n the nearest integer (by adding 1.5 * 2^23, whose low bits are then n), f in [-0.5,
    /// 0.5]. Below -126 the result stays at the smallest normal number. A NaN passes through.
    struct Split {
        Vec fraction;
        __m512i exponent; ///< n in bits 23 and up, anything above them
    };
    static Split split(Vec x) {
        const Vec magic = _mm512_set1_ps(12582912.0F);
        const Vec clamped =
            _mm512_max_ps(_mm512_set1_ps(-126.0F), x); // the second operand wins when one is NaN
        const Vec t = _mm512_add_ps(clamped, magic);
        return {_mm512_sub_ps(clamped, _mm512_sub_ps(t, magic)),
                _mm512_slli_epi32(_mm512_castps_si512(t), 23)};
    }
};

} // namespace canopy::accel::kernels
