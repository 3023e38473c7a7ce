#include "core/project/fidelity.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace canopy {
namespace {

constexpr int kWindow = 11;
constexpr double kSigma = 1.5;
constexpr double kC1 = (0.01 * 255) * (0.01 * 255);
constexpr double kC2 = (0.03 * 255) * (0.03 * 255);

std::array<double, kWindow> gaussian() {
    std::array<double, kWindow> weights{};
    double sum = 0;
    for (int i = 0; i < kWindow; ++i) {
        const double d = i - kWindow / 2;
        weights[static_cast<std::size_t>(i)] = std::exp(-d * d / (2 * kSigma * kSigma));
        sum += weights[static_cast<std::size_t>(i)];
    }
    for (double& w : weights)
        w /= sum;
    return weights;
}

/// The five windowed moments that SSIM needs, filtered along rows, then along columns.
struct Moments {
    double a = 0, b = 0, aa = 0, bb = 0, ab = 0;
    void add(double w, const Moments& m) {
        a += w * m.a;
        b += w * m.b;
        aa += w * m.aa;
        bb += w * m.bb;
        ab += w * m.ab;
    }
};

double channelSsim(const std::uint8_t* a, const std::uint8_t* b, int width, int height) {
    static const std::array<double, kWindow> weights = gaussian();
    const int outWidth = width - kWindow + 1;
    const int outHeight = height - kWindow + 1;
    // Ring of the last eleven row-filtered lines.
    std::vector<Moments> lines(static_cast<std::size_t>(kWindow) * static_cast<std::size_t>(outWidth));
    double sum = 0;
    for (int y = 0; y < height; ++y) {
        Moments* line = &lines[static_cast<std::size_t>(y % kWindow) * static_cast<std::size_t>(outWidth)];
        const std::size_t row = static_cast<std::size_t>(y) * static_cast<std::size_t>(width);
        for (int x = 0; x < outWidth; ++x) {
            Moments m;
            for (int k = 0; k < kWindow; ++k) {
                const std::size_t at = (row + static_cast<std::size_t>(x + k)) * 3;
                const double p = a[at];
                const double q = b[at];
                m.add(weights[static_cast<std::size_t>(k)], {p, q, p * p, q * q, p * q});
            }
            line[x] = m;
        }
        if (y + 1 < kWindow)
            continue;
        for (int x = 0; x < outWidth; ++x) {
            Moments m;
            for (int k = 0; k < kWindow; ++k) {
                const int from = (y - kWindow + 1 + k) % kWindow;
                m.add(weights[static_cast<std::size_t>(k)],
                      lines[static_cast<std::size_t>(from) * static_cast<std::size_t>(outWidth) +
                            static_cast<std::size_t>(x)]);
            }
            const double varianceA = m.aa - m.a * m.a;
            const double varianceB = m.bb - m.b * m.b;
            const double covariance = m.ab - m.a * m.b;
            sum += (2 * m.a * m.b + kC1) * (2 * covariance + kC2) /
                   ((m.a * m.a + m.b * m.b + kC1) * (varianceA + varianceB + kC2));
        }
    }
    return sum / (static_cast<double>(outWidth) * outHeight);
}

} // namespace

Result<FrameFidelity> frameFidelity(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b,
                                    int width, int height) {
    if (width < kWindow || height < kWindow)
        return makeError(ErrorCode::InvalidArgument, "The pictures are " + std::to_string(width) + "x" +
                                                         std::to_string(height) +
                                                         " pixels; comparing them needs at least 11x11.");
    const std::size_t expected = static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3;
    if (a.size() != expected || b.size() != expected)
        return makeError(ErrorCode::Mismatch, "The pictures hold " + std::to_string(a.size()) + " and " +
                                                  std::to_string(b.size()) + " bytes; both must hold " +
                                                  std::to_string(expected) + ".");
    std::uint64_t squares = 0;
    for (std::size_t i = 0; i < expected; ++i) {
        const int d = int(a[i]) - int(b[i]);
        squares += static_cast<std::uint64_t>(d * d);
    }
    FrameFidelity f;
    f.psnr = kMaxPsnr;
    if (squares > 0)
        f.psnr = std::min(kMaxPsnr, 10 * std::log10(255.0 * 255.0 * double(expected) / double(squares)));
    if (squares == 0) {
        f.ssim = 1;
        return f;
    }
    for (std::size_t channel = 0; channel < 3; ++channel)
        f.ssim += channelSsim(a.data() + channel, b.data() + channel, width, height) / 3;
    return f;
}

Result<FrameFidelity> FidelityMeter::add(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b,
                                         int width, int height) {
    const auto f = frameFidelity(a, b, width, height);
    if (!f)
        return f.error();
    const int index = m_sum.frames++;
    m_sum.identicalFrames += std::equal(a.begin(), a.end(), b.begin());
    m_sum.psnrMean += f->psnr;
    m_sum.ssimMean += f->ssim;
    if (index == 0 || f->psnr < m_sum.psnrWorst) {
        m_sum.psnrWorst = f->psnr;
        m_sum.psnrWorstFrame = index;
    }
    if (index == 0 || f->ssim < m_sum.ssimWorst) {
        m_sum.ssimWorst = f->ssim;
        m_sum.ssimWorstFrame = index;
    }
    return f;
}

ClipFidelity FidelityMeter::result() const {
    ClipFidelity r = m_sum;
    if (r.frames > 0) {
        r.psnrMean /= r.frames;
        r.ssimMean /= r.frames;
    }
    return r;
}

} // namespace canopy
