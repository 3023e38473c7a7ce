#include "core/project/clip_drift.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace canopy {
namespace {

double linear(double v) { // sRGB, IEC 61966-2-1
    return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
}

double labCurve(double t) {
    constexpr double kKnee = 216.0 / 24389;
    return t > kKnee ? std::cbrt(t) : (24389.0 / 27 * t + 16) / 116;
}

/// CIELAB of a mean colour in linear light.
std::array<double, 3> labOf(double r, double g, double b) {
    const double x = labCurve((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
    const double y = labCurve(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
    const double z = labCurve((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
    return {116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

FrameLook meanOf(std::span<const FrameLook> frames) {
    FrameLook mean;
    mean.light.assign(std::size_t{FrameLook::kRows} * FrameLook::kColumns, 0);
    const double n = static_cast<double>(frames.size());
    for (const FrameLook& f : frames) {
        for (std::size_t i = 0; i < 3; ++i)
            mean.lab[i] += f.lab[i] / n;
        mean.sharpness += f.sharpness / n;
        for (std::size_t i = 0; i < std::min(mean.light.size(), f.light.size()); ++i)
            mean.light[i] += static_cast<float>(f.light[i] / n);
    }
    return mean;
}

/// Pearson's correlation; 1 for two flat pictures, 0 for one.
double correlation(const std::vector<float>& a, const std::vector<float>& b) {
    const std::size_t n = std::min(a.size(), b.size());
    double ma = 0, mb = 0;
    for (std::size_t i = 0; i < n; ++i)
        ma += a[i] / double(n), mb += b[i] / double(n);
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < n; ++i) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    constexpr double kFlat = 1e-6;
    if (aa < kFlat || bb < kFlat)
        return aa < kFlat && bb < kFlat ? 1 : 0;
    return ab / std::sqrt(aa * bb);
}

Drift between(const FrameLook& first, const FrameLook& now) {
    Drift d;
    d.colour = std::hypot(now.lab[0] - first.lab[0], now.lab[1] - first.lab[1], now.lab[2] - first.lab[2]);
    if (first.sharpness > 0)
        d.sharpness = now.sharpness / first.sharpness;
    d.similarity = correlation(first.light, now.light);
    return d;
}

} // namespace

FrameLook lookOf(std::span<const std::uint8_t> rgb, int width, int height) {
    FrameLook look;
    if (width < 1 || height < 1 ||
        rgb.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3)
        return look;
    static const std::array<float, 256> kLinear = [] {
        std::array<float, 256> table{};
        for (std::size_t v = 0; v < table.size(); ++v)
            table[v] = static_cast<float>(linear(double(v) / 255));
        return table;
    }();
    const auto w = static_cast<std::size_t>(width), h = static_cast<std::size_t>(height);
    std::vector<float> luma(w * h);
    std::array<double, 3> sum{};
    for (std::size_t i = 0; i < w * h; ++i) {
        const auto r = rgb[i * 3], g = rgb[i * 3 + 1], b = rgb[i * 3 + 2];
        luma[i] = 0.299f * r + 0.587f * g + 0.114f * b;
        sum[0] += double(kLinear[r]), sum[1] += double(kLinear[g]), sum[2] += double(kLinear[b]);
    }
    const double n = double(w * h);
    look.lab = labOf(sum[0] / n, sum[1] / n, sum[2] / n);
    double edges = 0;
    for (std::size_t y = 1; y + 1 < h; ++y)
        for (std::size_t x = 1; x + 1 < w; ++x) {
            const float* p = &luma[y * w + x];
            edges += double(std::abs(4 * p[0] - p[-1] - p[1] - p[-std::ptrdiff_t(w)] - p[w]));
        }
    look.sharpness = h > 2 && w > 2 ? edges / double((w - 2) * (h - 2)) : 0;
    constexpr std::size_t kCells = std::size_t{FrameLook::kRows} * FrameLook::kColumns;
    look.light.assign(kCells, 0);
    std::vector<int> count(kCells, 0);
    for (std::size_t y = 0; y < h; ++y)
        for (std::size_t x = 0; x < w; ++x) {
            const auto cell = y * FrameLook::kRows / h * FrameLook::kColumns + x * FrameLook::kColumns / w;
            look.light[cell] += luma[y * w + x];
            ++count[cell];
        }
    for (std::size_t i = 0; i < kCells; ++i)
        look.light[i] /= float(std::max(1, count[i]));
    return look;
}

std::vector<Drift> chunkDrift(std::span<const FrameLook> frames, std::span<const int> firstFrames) {
    std::vector<Drift> out;
    FrameLook first;
    for (std::size_t c = 0; c < firstFrames.size(); ++c) {
        const auto begin = static_cast<std::size_t>(std::max(0, firstFrames[c]));
        const auto end =
            std::min(frames.size(), c + 1 < firstFrames.size()
                                        ? static_cast<std::size_t>(std::max(0, firstFrames[c + 1]))
                                        : frames.size());
        if (begin >= end)
            break;
        const FrameLook mean = meanOf(frames.subspan(begin, end - begin));
        if (c == 0)
            first = mean;
        out.push_back(between(first, mean));
    }
    return out;
}

std::vector<Drift> frameDrift(std::span<const FrameLook> frames, int firstChunk) {
    std::vector<Drift> out;
    const auto n = std::min(frames.size(), static_cast<std::size_t>(std::max(1, firstChunk)));
    if (n == 0)
        return out;
    const FrameLook first = meanOf(frames.first(n));
    for (const FrameLook& frame : frames)
        out.push_back(between(first, frame));
    return out;
}

} // namespace canopy
