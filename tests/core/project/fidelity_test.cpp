#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "core/project/fidelity.h"

using namespace canopy;

namespace {

using Pixels = std::vector<std::uint8_t>;

Pixels picture(int width, int height, unsigned seed) {
    std::mt19937 random(seed);
    Pixels p(static_cast<std::size_t>(width * height * 3));
    for (std::size_t i = 0; i < p.size(); ++i)
        p[i] = static_cast<std::uint8_t>(100 + 80 * std::sin(double(i) / 37) + double(random() % 40));
    return p;
}

/// The definition, window by window in two dimensions.
FrameFidelity bruteForce(const Pixels& a, const Pixels& b, int width, int height) {
    double squares = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        squares += std::pow(double(a[i]) - double(b[i]), 2);
    FrameFidelity f;
    f.psnr = 10 * std::log10(255 * 255 / (squares / double(a.size())));
    double weights[11][11];
    double total = 0;
    for (int y = 0; y < 11; ++y)
        for (int x = 0; x < 11; ++x)
            total += weights[y][x] = std::exp(-((x - 5) * (x - 5) + (y - 5) * (y - 5)) / (2 * 1.5 * 1.5));
    double sum = 0;
    int windows = 0;
    for (int channel = 0; channel < 3; ++channel)
        for (int top = 0; top + 11 <= height; ++top)
            for (int left = 0; left + 11 <= width; ++left) {
                double meanA = 0, meanB = 0, varA = 0, varB = 0, cov = 0;
                const auto at = [&](const Pixels& p, int y, int x) {
                    return double(p[static_cast<std::size_t>(((top + y) * width + left + x) * 3 + channel)]);
                };
                for (int y = 0; y < 11; ++y)
                    for (int x = 0; x < 11; ++x) {
                        meanA += weights[y][x] / total * at(a, y, x);
                        meanB += weights[y][x] / total * at(b, y, x);
                    }
                for (int y = 0; y < 11; ++y)
                    for (int x = 0; x < 11; ++x) {
                        const double da = at(a, y, x) - meanA;
                        const double db = at(b, y, x) - meanB;
                        varA += weights[y][x] / total * da * da;
                        varB += weights[y][x] / total * db * db;
                        cov += weights[y][x] / total * da * db;
                    }
                const double c1 = 6.5025, c2 = 58.5225;
                sum += (2 * meanA * meanB + c1) * (2 * cov + c2) /
                       ((meanA * meanA + meanB * meanB + c1) * (varA + varB + c2));
                ++windows;
            }
    f.ssim = sum / windows;
    return f;
}

} // namespace

TEST_CASE("PSNR and SSIM equal the definition") {
    for (const auto& [width, height] : {std::pair{11, 11}, std::pair{24, 17}, std::pair{33, 40}}) {
        const Pixels a = picture(width, height, 1);
        const Pixels b = picture(width, height, 2);
        const auto fast = *frameFidelity(a, b, width, height);
        const auto slow = bruteForce(a, b, width, height);
        CHECK(fast.psnr == doctest::Approx(slow.psnr).epsilon(1e-9));
        CHECK(fast.ssim == doctest::Approx(slow.ssim).epsilon(1e-6));
        CHECK(fast.ssim < 0.99);
    }
}

TEST_CASE("identical frames, wrong sizes, and the worst frame of a clip") {
    const Pixels a = picture(16, 16, 1);
    CHECK(frameFidelity(a, a, 16, 16)->psnr == kMaxPsnr);
    CHECK(frameFidelity(a, a, 16, 16)->ssim == 1);
    CHECK_FALSE(frameFidelity(a, a, 16, 17).ok());
    CHECK_FALSE(frameFidelity(picture(10, 16, 1), picture(10, 16, 1), 10, 16).ok());

    Pixels black(16 * 16 * 3, 0);
    Pixels grey(16 * 16 * 3, 51); // MSE 51^2: PSNR 20 log10(5)
    FidelityMeter meter;
    REQUIRE(meter.add(a, a, 16, 16));
    REQUIRE(meter.add(black, grey, 16, 16));
    REQUIRE(meter.add(a, a, 16, 16));
    const ClipFidelity clip = meter.result();
    CHECK(clip.frames == 3);
    CHECK(clip.identicalFrames == 2);
    CHECK(clip.psnrWorstFrame == 1);
    CHECK(clip.ssimWorstFrame == 1);
    CHECK(clip.psnrWorst == doctest::Approx(20 * std::log10(5.0)));
    CHECK(clip.psnrMean == doctest::Approx((200 + 20 * std::log10(5.0)) / 3));
}
