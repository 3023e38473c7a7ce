#include <immintrin.h>

#include "accel/kernels/cpu/attention_tile.h"
#include "accel/kernels/cpu/block_score_tile.h"

namespace canopy::accel::kernels {
namespace {

/// Eight float32 lanes, sixteen registers: 8 accumulators, 2 query vectors, 1 broadcast.
struct Avx2FloatIsa {
    using Vec = __m256;
    using Unit = __m256;
    static constexpr int kStep = 1;
    static constexpr int kLanes = 8;
    static constexpr int kQueryVectors = 2;
    static constexpr int kRows = 4;

    static Vec zero() { return _mm256_setzero_ps(); }
    static Vec broadcast(float x) { return _mm256_set1_ps(x); }
    static Vec load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, Vec x) { _mm256_storeu_ps(p, x); }
    static Vec loadBits(const std::uint32_t* p) {
        return _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(p)));
    }
    static void storeBits(std::uint32_t* p, Vec x) {
        _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(p), _mm256_castps_si256(x));
    }
    static Unit loadUnits(const std::uint32_t* p) { return loadBits(p); }
    static Unit loadUnits(const float* p) { return load(p); }
    static Unit broadcastUnit(const std::uint32_t* p) {
        return _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(*p)));
    }
    static Vec multiplyAdd(Vec acc, Unit a, Unit b) { return _mm256_fmadd_ps(a, b, acc); }
    static Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
    static Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
    static Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
    static Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }

    /// As in attention_avx512_isa.h: 2^n 2^f with a degree 5 minimax polynomial.
    static Vec exp2(Vec x) {
        const Vec magic = broadcast(12582912.0F);
        const Vec clamped = max(broadcast(-126.0F), x); // the second operand wins when one is NaN
        const Vec t = add(clamped, magic);
        const Vec f = sub(clamped, sub(t, magic));
        Vec p = broadcast(0.0013276472F);
        p = _mm256_fmadd_ps(p, f, broadcast(0.0096755413F));
        p = _mm256_fmadd_ps(p, f, broadcast(0.0555071327F));
        p = _mm256_fmadd_ps(p, f, broadcast(0.2402211972F));
        p = _mm256_fmadd_ps(p, f, broadcast(0.6931469671F));
        p = _mm256_fmadd_ps(p, f, broadcast(1.0000000717F));
        const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
        return mul(p, _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(127 << 23))));
    }

    static void transpose(Vec (&r)[8]) {
        Vec t[8];
        for (int i = 0; i < 8; i += 2) {
            t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
            t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
        }
        Vec u[8]; // u[4 g + c]: columns c and 4 + c of rows 4 g .. 4 g + 3
        for (int g = 0; g < 8; g += 4) {
            u[g] = _mm256_shuffle_ps(t[g], t[g + 2], 0x44);
            u[g + 1] = _mm256_shuffle_ps(t[g], t[g + 2], 0xee);
            u[g + 2] = _mm256_shuffle_ps(t[g + 1], t[g + 3], 0x44);
            u[g + 3] = _mm256_shuffle_ps(t[g + 1], t[g + 3], 0xee);
        }
        for (int c = 0; c < 4; ++c) {
            r[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
            r[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
        }
    }

    static void storeSome(float* p, Vec x, int count) {
        if (count == kLanes)
            return store(p, x);
        float lanes[kLanes];
        store(lanes, x);
        std::memcpy(p, lanes, static_cast<std::size_t>(count) * 4);
    }
    static void storeHalf(std::uint16_t* p, Vec x, int count) {
        const __m256i bits = _mm256_castps_si256(x);
        const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
        const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
        const Vec nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
        const Vec chosen = _mm256_blendv_ps(_mm256_castsi256_ps(rounded),
                                            _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)), nan);
        std::uint32_t lanes[kLanes];
        storeBits(lanes, chosen);
        for (int i = 0; i < count; ++i)
            p[i] = static_cast<std::uint16_t>(lanes[i] >> 16);
    }
};

} // namespace

extern const AttentionKernels kAvx2Float;
const AttentionKernels kAvx2Float = makeKernels<Avx2FloatIsa>();
extern const BlockScoreKernels kAvx2FloatScore;
const BlockScoreKernels kAvx2FloatScore = makeScoreKernels<Avx2FloatIsa>();

} // namespace canopy::accel::kernels
