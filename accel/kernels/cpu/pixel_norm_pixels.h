#pragma once

#include <cstdint>
#include <cstring>

// The loops of pixel_norm.h in plain C++, compiled once per instruction set and vectorised by the compiler.
// Every name is internal to its file (see attention_kernel_set.h for why), hence the anonymous namespace in a
// header: it is included by pixel_norm_<isa>.cpp only.
namespace canopy::accel::kernels {
namespace {

/// Channels are walked sixteen at a time; pixels in groups whose lengths are found first.
constexpr int kLanes = 16;
constexpr int kGroup = 64;

struct FloatStorage {
    using Element = float;
    static float widen(float x) { return x; }
    static float narrow(float x) { return x; }
};

struct HalfStorage {
    using Element = std::uint16_t;
    static float widen(std::uint16_t x) {
        const std::uint32_t bits = static_cast<std::uint32_t>(x) << 16;
        float result;
        std::memcpy(&result, &bits, sizeof result);
        return result;
    }
    /// To nearest, ties to even; any NaN becomes the quiet NaN.
    static std::uint16_t narrow(float x) {
        std::uint32_t bits;
        std::memcpy(&bits, &x, sizeof bits);
        const std::uint32_t rounded = (bits + 0x7fffU + (bits >> 16 & 1U)) >> 16;
        const bool isNan = (bits & 0x7fffffffU) > 0x7f800000U;
        return static_cast<std::uint16_t>(isNan ? 0x7fc0U : rounded);
    }
};

/// exp(x) to about 2 units in the last place: 2^n * exp(r), |r| <= ln(2) / 2, Taylor to r^7.
/// Beyond +-87 it stays at the border value, where SiLU no longer sees a difference; NaN stays NaN.
inline float exponential(float x) {
    constexpr float kRound = 12582912.0F; // 1.5 * 2^23: adding it rounds to a whole number in the low bits
    x = x > 87.0F ? 87.0F : x;
    x = x < -87.0F ? -87.0F : x;
    const float shifted = x * 1.44269504F + kRound;
    const float n = shifted - kRound;
    const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
    float sum = 1.98412698e-4F;
    sum = sum * r + 1.38888889e-3F;
    sum = sum * r + 8.33333333e-3F;
    sum = sum * r + 4.16666667e-2F;
    sum = sum * r + 1.66666667e-1F;
    sum = sum * r + 0.5F;
    sum = sum * r * r + r + 1.0F;
    std::int32_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = static_cast<std::int32_t>(static_cast<std::uint32_t>(bits) << 23) + 0x3f800000;
    float scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return sum * scale;
}

template <bool kSilu>
inline float activate(float v) {
    return kSilu ? v / (1.0F + exponential(-v)) : v;
}

/// Sum of squares of one pixel.
template <class Storage>
inline float squareSum(const typename Storage::Element* __restrict x, std::int64_t channels) {
    float partial[kLanes] = {};
    std::int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
        for (int lane = 0; lane < kLanes; ++lane) {
            const float v = Storage::widen(x[c + lane]);
            partial[lane] += v * v;
        }
    }
    float rest = 0;
    for (; c < channels; ++c)
        rest += Storage::widen(x[c]) * Storage::widen(x[c]);
    for (int width = kLanes / 2; width > 0; width /= 2) {
        for (int lane = 0; lane < width; ++lane)
            partial[lane] += partial[lane + width];
    }
    return partial[0] + rest;
}

template <class Storage, bool kSilu>
void normPixels(const PixelNormParams& p, std::int64_t first, std::int64_t last) {
    using Element = typename Storage::Element;
    const float* __restrict gain = p.gain;
    float inverse[kGroup];
    for (std::int64_t start = first; start < last; start += kGroup) {
        const int count = static_cast<int>(last - start < kGroup ? last - start : kGroup);
        const Element* x = static_cast<const Element*>(p.x) + start * p.xStride;
        Element* out = static_cast<Element*>(p.out) + start * p.outStride;
        for (int i = 0; i < count; ++i)
            inverse[i] = squareSum<Storage>(x + i * p.xStride, p.channels);
        for (int i = 0; i < count; ++i) {
            const float length = __builtin_sqrtf(inverse[i]);
            inverse[i] = 1.0F / (length > 1e-12F ? length : 1e-12F);
        }
        for (int i = 0; i < count; ++i) {
            const Element* __restrict from = x + i * p.xStride;
            Element* __restrict to = out + i * p.outStride;
            const float scale = inverse[i];
            std::int64_t c = 0;
            for (; c + kLanes <= p.channels; c += kLanes) {
                for (int lane = 0; lane < kLanes; ++lane)
                    to[c + lane] = Storage::narrow(
                        activate<kSilu>(Storage::widen(from[c + lane]) * scale * gain[c + lane]));
            }
            for (; c < p.channels; ++c)
                to[c] = Storage::narrow(activate<kSilu>(Storage::widen(from[c]) * scale * gain[c]));
        }
    }
}

constexpr PixelNormKernels makePixelNormKernels() {
    return {{{&normPixels<FloatStorage, false>, &normPixels<FloatStorage, true>},
             {&normPixels<HalfStorage, false>, &normPixels<HalfStorage, true>}}};
}

} // namespace
} // namespace canopy::accel::kernels
