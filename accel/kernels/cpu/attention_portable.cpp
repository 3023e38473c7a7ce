#include "accel/kernels/cpu/attention_tile.h"
#include "accel/kernels/cpu/block_score_tile.h"

namespace canopy::accel::kernels {
namespace {

/// Four float32 lanes in the compiler's generic vectors: any processor.
struct PortableIsa {
    using Vec = float __attribute__((vector_size(16)));
    using Bits = std::uint32_t __attribute__((vector_size(16)));
    using Unit = Vec;
    static constexpr int kStep = 1;
    static constexpr int kLanes = 4;
    static constexpr int kQueryVectors = 2;
    static constexpr int kRows = 4;

    static Vec zero() { return Vec{}; }
    static Vec broadcast(float x) { return Vec{x, x, x, x}; }
    static Vec load(const void* p) {
        Vec x;
        std::memcpy(&x, p, sizeof x);
        return x;
    }
    static void store(void* p, Vec x) { std::memcpy(p, &x, sizeof x); }
    static Vec loadBits(const std::uint32_t* p) { return load(p); }
    static void storeBits(std::uint32_t* p, Vec x) { store(p, x); }
    static Unit loadUnits(const void* p) { return load(p); }
    static Unit broadcastUnit(const std::uint32_t* p) {
        float x;
        std::memcpy(&x, p, sizeof x);
        return broadcast(x);
    }
    static Vec multiplyAdd(Vec acc, Unit a, Unit b) { return acc + a * b; }
    static Vec add(Vec a, Vec b) { return a + b; }
    static Vec sub(Vec a, Vec b) { return a - b; }
    static Vec mul(Vec a, Vec b) { return a * b; }
    static Vec max(Vec a, Vec b) { return a > b ? a : b; } // the second operand wins when one is NaN

    /// As in attention_avx512_isa.h: 2^n 2^f with a degree 5 minimax polynomial.
    static Vec exp2(Vec x) {
        const Vec magic = broadcast(12582912.0F);
        const Vec clamped = max(broadcast(-126.0F), x);
        const Vec t = clamped + magic;
        const Vec f = clamped - (t - magic);
        Vec p = broadcast(0.0013276472F);
        p = p * f + 0.0096755413F;
        p = p * f + 0.0555071327F;
        p = p * f + 0.2402211972F;
        p = p * f + 0.6931469671F;
        p = p * f + 1.0000000717F;
        Bits power;
        std::memcpy(&power, &t, sizeof power);
        power = (power << 23) + (127U << 23);
        Vec scale;
        std::memcpy(&scale, &power, sizeof scale);
        return p * scale;
    }

    static void transpose(Vec (&r)[4]) {
        Vec t[4];
        for (int i = 0; i < 4; ++i)
            t[i] = Vec{r[0][i], r[1][i], r[2][i], r[3][i]};
        for (int i = 0; i < 4; ++i)
            r[i] = t[i];
    }
    static void storeSome(float* p, Vec x, int count) {
        std::memcpy(p, &x, static_cast<std::size_t>(count) * 4);
    }
    static void storeHalf(std::uint16_t* p, Vec x, int count) {
        Bits bits;
        std::memcpy(&bits, &x, sizeof bits);
        for (int i = 0; i < count; ++i) {
            const bool nan = (bits[i] & 0x7fffffffU) > 0x7f800000U;
            p[i] = nan ? std::uint16_t{0x7fc0}
                       : static_cast<std::uint16_t>((bits[i] + 0x7fffU + (bits[i] >> 16 & 1U)) >> 16);
        }
    }
};

} // namespace

extern const AttentionKernels kPortableFloat;
const AttentionKernels kPortableFloat = makeKernels<PortableIsa>();
extern const BlockScoreKernels kPortableFloatScore;
const BlockScoreKernels kPortableFloatScore = makeScoreKernels<PortableIsa>();

} // namespace canopy::accel::kernels
