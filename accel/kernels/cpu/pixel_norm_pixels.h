#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

// The loops of pixel_norm.h over sixteen channels at a time, in the compiler's own vector types, compiled
// once per instruction set. Every name is internal to its file (see attention_kernel_set.h for why), hence
// the anonymous namespace in a header: it is included by pixel_norm_<isa>.cpp only.
namespace canopy::accel::kernels {
namespace {

constexpr int kLanes = 16;
/// Pixels whose lengths are found before any is written: square roots and divisions then go side by side.
constexpr int kGroup = 64;

using Lanes __attribute__((vector_size(4 * kLanes))) = float;
using Words __attribute__((vector_size(4 * kLanes))) = std::uint32_t;
using Halves __attribute__((vector_size(2 * kLanes))) = std::uint16_t;

// Vectors travel by reference: by value their calling convention would depend on the instruction set.

/// `count` float32 channels, zeros behind them.
struct FloatStorage {
    using Element = float;
    static void load(const float* from, std::size_t count, Lanes& v) {
        v = Lanes{};
        std::memcpy(&v, from, count * sizeof(float));
    }
    static void store(const Lanes& v, float* to, std::size_t count) {
        std::memcpy(to, &v, count * sizeof(float));
    }
};

struct HalfStorage {
    using Element = std::uint16_t;
    static void load(const std::uint16_t* from, std::size_t count, Lanes& v) {
        Halves halves{};
        std::memcpy(&halves, from, count * sizeof(std::uint16_t));
        const Words bits = __builtin_convertvector(halves, Words) << 16;
        std::memcpy(&v, &bits, sizeof v);
    }
    /// To nearest, ties to even; any NaN becomes the quiet NaN.
    static void store(const Lanes& v, std::uint16_t* to, std::size_t count) {
        Words bits;
        std::memcpy(&bits, &v, sizeof bits);
        Words rounded = (bits + 0x7fffU + (bits >> 16 & 1U)) >> 16;
        rounded = (bits & 0x7fffffffU) > 0x7f800000U ? Words{} + 0x7fc0U : rounded;
        const Halves halves = __builtin_convertvector(rounded, Halves);
        std::memcpy(to, &halves, count * sizeof(std::uint16_t));
    }
};

/// v / (1 + exp(-v)). exp to about 2 units in the last place: 2^n * exp(r), |r| <= ln(2) / 2, Taylor to r^7;
/// beyond
/// +-87 it stays at the border value, where SiLU no longer sees a difference. NaN stays NaN.
void silu(Lanes& v) {
    constexpr float kRound = 12582912.0F; // 1.5 * 2^23: adding it rounds to a whole number in the low bits
    const Lanes border = Lanes{} + 87.0F;
    Lanes x = -v;
    x = x > border ? border : x;
    x = x < -border ? -border : x;
    const Lanes shifted = x * 1.44269504F + kRound;
    const Lanes n = shifted - kRound;
    const Lanes r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
    Lanes sum = r * 1.98412698e-4F + 1.38888889e-3F;
    sum = sum * r + 8.33333333e-3F;
    sum = sum * r + 4.16666667e-2F;
    sum = sum * r + 1.66666667e-1F;
    sum = sum * r + 0.5F;
    sum = sum * r * r + r + 1.0F;
    Words bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000U;
    Lanes scale;
    std::memcpy(&scale, &bits, sizeof scale);
    v = v / (sum * scale + 1.0F);
}

/// Sum of squares of one pixel.
template <class Storage>
float squareSum(const typename Storage::Element* x, std::size_t channels) {
    Lanes partial{};
    Lanes v;
    std::size_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
        Storage::load(x + c, kLanes, v);
        partial += v * v;
    }
    if (c < channels) {
        Storage::load(x + c, channels - c, v);
        partial += v * v;
    }
    partial +=
        __builtin_shufflevector(partial, partial, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    partial +=
        __builtin_shufflevector(partial, partial, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    partial +=
        __builtin_shufflevector(partial, partial, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    return partial[0] + partial[1];
}

template <class Storage, bool kSilu>
void normChannels(const typename Storage::Element* from, const float* gain, float scale, std::size_t count,
                  typename Storage::Element* to) {
    Lanes v, gains;
    Storage::load(from, count, v);
    FloatStorage::load(gain, count, gains);
    v = v * scale * gains;
    if (kSilu)
        silu(v);
    Storage::store(v, to, count);
}

template <class Storage, bool kSilu>
void normPixels(const PixelNormParams& p, std::int64_t first, std::int64_t last) {
    using Element = typename Storage::Element;
    const auto channels = static_cast<std::size_t>(p.channels);
    float inverse[kGroup];
    for (std::int64_t start = first; start < last; start += kGroup) {
        const int count = static_cast<int>(last - start < kGroup ? last - start : kGroup);
        const Element* x = static_cast<const Element*>(p.x) + start * p.xStride;
        Element* out = static_cast<Element*>(p.out) + start * p.outStride;
        for (int i = 0; i < count; ++i)
            inverse[i] = squareSum<Storage>(x + i * p.xStride, channels);
        for (int i = 0; i < count; ++i) {
            const float length = __builtin_sqrtf(inverse[i]);
            inverse[i] = 1.0F / (length > 1e-12F ? length : 1e-12F);
        }
        for (int i = 0; i < count; ++i) {
            const Element* from = x + i * p.xStride;
            Element* to = out + i * p.outStride;
            std::size_t c = 0;
            for (; c + kLanes <= channels; c += kLanes)
                normChannels<Storage, kSilu>(from + c, p.gain + c, inverse[i], kLanes, to + c);
            if (c < channels)
                normChannels<Storage, kSilu>(from + c, p.gain + c, inverse[i], channels - c, to + c);
        }
    }
}

constexpr PixelNormKernels makePixelNormKernels() {
    return {{{&normPixels<FloatStorage, false>, &normPixels<FloatStorage, true>},
             {&normPixels<HalfStorage, false>, &normPixels<HalfStorage, true>}}};
}

} // namespace
} // namespace canopy::accel::kernels
