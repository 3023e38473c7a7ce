#pragma once

#include <cstdint>
#include <cstring>

// The loops of row_ops.h in plain C++, compiled once per instruction set and vectorised by the compiler.
// Every name is internal to its file (see attention_kernel_set.h for why), hence the anonymous namespace in a
// header: it is included by row_ops_<isa>.cpp only.
namespace canopy::accel::kernels {
namespace {

constexpr int kPartialSums = 16;

struct FloatStorage {
    using Element = float;
    static constexpr bool kRounds = false;
    static float widen(float x) { return x; }
    static float narrow(float x) { return x; }
};

struct HalfStorage {
    using Element = std::uint16_t;
    static constexpr bool kRounds = true;
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

float total(const float (&partial)[kPartialSums]) {
    float lanes[kPartialSums];
    std::memcpy(lanes, partial, sizeof lanes);
    for (int width = kPartialSums / 2; width > 0; width /= 2)
        for (int i = 0; i < width; ++i)
            lanes[i] += lanes[i + width];
    return lanes[0];
}

/// Sum over i of term(row[i]).
template <class Term>
float sumOf(const float* __restrict row, std::int64_t channels, Term term) {
    float partial[kPartialSums] = {};
    std::int64_t i = 0;
    for (; i + kPartialSums <= channels; i += kPartialSums)
        for (int lane = 0; lane < kPartialSums; ++lane)
            partial[lane] += term(row[i + lane]);
    for (int lane = 0; i + lane < channels; ++lane)
        partial[lane] += term(row[i + lane]);
    return total(partial);
}

template <class Storage>
void widenRow(const typename Storage::Element* __restrict x, std::int64_t channels, float* __restrict row) {
    for (std::int64_t i = 0; i < channels; ++i)
        row[i] = Storage::widen(x[i]);
}

template <class Storage>
void layerNormRows(const LayerNormParams& p, std::int64_t first, std::int64_t last) {
    using Element = typename Storage::Element;
    float row[kMaxRowChannels];
    const auto width = static_cast<float>(p.channels);
    for (std::int64_t t = first; t < last; ++t) {
        widenRow<Storage>(static_cast<const Element*>(p.x) + t * p.xStride, p.channels, row);
        const float mean = sumOf(row, p.channels, [](float x) { return x; }) / width;
        const float variance =
            sumOf(row, p.channels, [mean](float x) { return (x - mean) * (x - mean); }) / width;
        const float inverse = 1.0F / __builtin_sqrtf(variance + p.eps);
        const float* __restrict scale = p.scale + t / p.tokensPerRow * p.scaleStride;
        const float* __restrict shift = p.shift + t / p.tokensPerRow * p.shiftStride;
        Element* __restrict out = static_cast<Element*>(p.out) + t * p.channels;
        const float base = p.scaleBase;
        for (std::int64_t i = 0; i < p.channels; ++i)
            out[i] = Storage::narrow((row[i] - mean) * inverse * (base + scale[i]) + shift[i]);
    }
}

template <class Storage>
void gateAddRows(const GateAddParams& p, std::int64_t first, std::int64_t last) {
    using Element = typename Storage::Element;
    for (std::int64_t t = first; t < last; ++t) {
        const float* gate = p.gate + t / p.tokensPerRow * p.gateStride;
        const Element* x = static_cast<const Element*>(p.x) + t * p.channels;
        const Element* y = static_cast<const Element*>(p.y) + t * p.channels;
        Element* out = static_cast<Element*>(p.out) + t * p.channels;
#pragma GCC ivdep // out may be x itself, element on element
        for (std::int64_t i = 0; i < p.channels; ++i)
            out[i] = Storage::narrow(Storage::widen(x[i]) + gate[i] * Storage::widen(y[i]));
    }
}

template <class Storage>
void normRopeRows(const NormRopeParams& p, std::int64_t first, std::int64_t last) {
    using Element = typename Storage::Element;
    const std::int64_t channels = p.heads * p.headDim;
    const std::int64_t half = p.headDim / 2;
    float row[kMaxRowChannels];
    const float* __restrict gain = p.gain;
    for (std::int64_t t = first; t < last; ++t) {
        widenRow<Storage>(static_cast<const Element*>(p.x) + t * p.xStride, channels, row);
        const float square = sumOf(row, channels, [](float x) { return x * x; });
        const float inverse = 1.0F / __builtin_sqrtf(square / static_cast<float>(channels) + p.eps);
        Element* __restrict out = static_cast<Element*>(p.out) + t * channels;
        if (!p.cos) {
            for (std::int64_t i = 0; i < channels; ++i)
                out[i] = Storage::narrow(row[i] * inverse * gain[i]);
            continue;
        }
        for (std::int64_t i = 0; i < channels; ++i) {
            const float normed = row[i] * inverse * gain[i];
            row[i] = Storage::kRounds ? Storage::widen(Storage::narrow(normed)) : normed;
        }
        const float* __restrict cos = p.cos + t * half;
        const float* __restrict sin = p.sin + t * half;
        for (std::int64_t h = 0; h < p.heads; ++h) {
            const float* __restrict in = row + h * p.headDim;
            Element* __restrict to = out + h * p.headDim;
            for (std::int64_t j = 0; j < half; ++j) {
                const float a = in[2 * j];
                const float b = in[2 * j + 1];
                to[2 * j] = Storage::narrow(a * cos[j] - b * sin[j]);
                to[2 * j + 1] = Storage::narrow(a * sin[j] + b * cos[j]);
            }
        }
    }
}

constexpr RowKernels makeRowKernels() {
    return {{&layerNormRows<FloatStorage>, &layerNormRows<HalfStorage>},
            {&gateAddRows<FloatStorage>, &gateAddRows<HalfStorage>},
            {&normRopeRows<FloatStorage>, &normRopeRows<HalfStorage>}};
}

} // namespace
} // namespace canopy::accel::kernels
