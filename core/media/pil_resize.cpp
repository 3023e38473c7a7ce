#include "core/media/pil_resize.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <utility>

namespace canopy::media {

namespace {

/// A byte has 8 bits, a sum of weights at most one more on either side of 1: 22 are left for their fraction.
constexpr int kFractionBits = 32 - 8 - 2;

double cubic(double x) {
    constexpr double a = -0.5;
    x = std::abs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

/// Where each output position reads, and by which weights.
struct Taps {
    struct Range {
        int first = 0;
        int count = 0;
    };
    int most = 0; ///< stride of `weights`
    std::vector<Range> ranges;
    std::vector<std::int32_t> weights;

    const std::int32_t* of(int out) const {
        return weights.data() + static_cast<std::size_t>(out) * static_cast<std::size_t>(most);
    }
};

Taps makeTaps(int inSize, int outSize) {
    const double scale = static_cast<double>(inSize) / outSize;
    const double stretch = std::max(scale, 1.0);
    const double support = 2.0 * stretch;
    Taps taps;
    taps.most = static_cast<int>(std::ceil(support)) * 2 + 1;
    taps.ranges.resize(static_cast<std::size_t>(outSize));
    taps.weights.assign(static_cast<std::size_t>(outSize) * static_cast<std::size_t>(taps.most), 0);
    std::vector<double> real(static_cast<std::size_t>(taps.most));
    for (int out = 0; out < outSize; ++out) {
        const double centre = (out + 0.5) * scale;
        const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
        const int end = std::min(static_cast<int>(centre + support + 0.5), inSize);
        const int count = end - first;
        double sum = 0;
        const double shrink = 1.0 / stretch;
        for (int i = 0; i < count; ++i) {
            const double w = cubic((i + first - centre + 0.5) * shrink);
            real[static_cast<std::size_t>(i)] = w;
            sum += w;
        }
        auto* weights =
            taps.weights.data() + static_cast<std::size_t>(out) * static_cast<std::size_t>(taps.most);
        for (int i = 0; i < count; ++i) {
            double w = real[static_cast<std::size_t>(i)];
            if (sum != 0)
                w /= sum;
            w *= 1 << kFractionBits;
            weights[i] = static_cast<std::int32_t>(w < 0 ? w - 0.5 : w + 0.5);
        }
        taps.ranges[static_cast<std::size_t>(out)] = {first, count};
    }
    return taps;
}

std::uint8_t toByte(std::int32_t sum) {
    return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);

/// [height, width, 3] -> [height, toWidth, 3]
std::vector<std::uint8_t> scaleRows(std::span<const std::uint8_t> rgb, int width, int height, int toWidth) {
    const Taps taps = makeTaps(width, toWidth);
    std::vector<std::uint8_t> out(static_cast<std::size_t>(height) * static_cast<std::size_t>(toWidth) * 3);
    std::uint8_t* to = out.data();
    for (int y = 0; y < height; ++y) {
        const std::uint8_t* row =
            rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3;
        for (int x = 0; x < toWidth; ++x, to += 3) {
            const auto [first, count] = taps.ranges[static_cast<std::size_t>(x)];
            const std::int32_t* weights = taps.of(x);
            const std::uint8_t* from = row + static_cast<std::ptrdiff_t>(first) * 3;
            std::int32_t r = kHalf, g = kHalf, b = kHalf;
            for (int i = 0; i < count; ++i, from += 3) {
                r += from[0] * weights[i];
                g += from[1] * weights[i];
                b += from[2] * weights[i];
            }
            to[0] = toByte(r), to[1] = toByte(g), to[2] = toByte(b);
        }
    }
    return out;
}

/// [height, width, 3] -> [toHeight, width, 3]
std::vector<std::uint8_t> scaleColumns(std::span<const std::uint8_t> rgb, int width, int height,
                                       int toHeight) {
    const Taps taps = makeTaps(height, toHeight);
    const auto rowBytes = static_cast<std::size_t>(width) * 3;
    std::vector<std::uint8_t> out(static_cast<std::size_t>(toHeight) * rowBytes);
    std::vector<std::int32_t> sums(rowBytes);
    for (int y = 0; y < toHeight; ++y) {
        const auto [first, count] = taps.ranges[static_cast<std::size_t>(y)];
        const std::int32_t* weights = taps.of(y);
        std::fill(sums.begin(), sums.end(), kHalf);
        for (int i = 0; i < count; ++i) {
            const std::uint8_t* row = rgb.data() + static_cast<std::size_t>(first + i) * rowBytes;
            const std::int32_t weight = weights[i];
            for (std::size_t x = 0; x < rowBytes; ++x)
                sums[x] += row[x] * weight;
        }
        std::uint8_t* to = out.data() + static_cast<std::size_t>(y) * rowBytes;
        for (std::size_t x = 0; x < rowBytes; ++x)
            to[x] = toByte(sums[x]);
    }
    return out;
}

} // namespace

std::vector<std::uint8_t> pilBicubic(std::span<const std::uint8_t> rgb, int width, int height, int toWidth,
                                     int toHeight) {
    assert(width > 0 && height > 0 && toWidth > 0 && toHeight > 0);
    assert(rgb.size() == static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
    const bool columnsFirst = height > toHeight && height - toHeight > 2 * (width - toWidth);
    std::vector<std::uint8_t> out;
    std::span<const std::uint8_t> now = rgb;
    const auto take = [&](std::vector<std::uint8_t> scaled) {
        out = std::move(scaled);
        now = out;
    };
    if (columnsFirst)
        take(scaleColumns(now, width, height, toHeight));
    if (toWidth != width)
        take(scaleRows(now, width, columnsFirst ? toHeight : height, toWidth));
    if (!columnsFirst && toHeight != height)
        take(scaleColumns(now, toWidth, height, toHeight));
    if (out.empty())
        out.assign(rgb.begin(), rgb.end());
    return out;
}

} // namespace canopy::media
