#pragma once

#include <cstdint>
#include <span>

#include "core/base/result.h"

namespace canopy {

/// How near one frame is to its reference, in RGB on lossless 8-bit frames.
struct FrameFidelity {
    double psnr =
        0; ///< dB, 10 log10(255^2 / MSE) with the MSE over all pixels and R, G, B; capped at kMaxPsnr
    double ssim = 0; ///< mean over R, G, B and all windows that lie inside the picture
};

/// Identical frames have an infinite PSNR; a finite stand-in keeps means meaningful.
inline constexpr double kMaxPsnr = 100.0;

/// `a` and `b` are tightly packed RGB, width * height * 3 bytes. SSIM (Wang et al. 2004): Gaussian window of
/// 11 x 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, L = 255, weighted (biased) variances, no downsampling. Needs
/// at least 11 x 11 pixels.
Result<FrameFidelity> frameFidelity(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b,
                                    int width, int height);

/// Over a clip: means of the frames' numbers, and the worst frame of each. Never mixed with FFmpeg's figures
/// for two files (core/media/compare.h), which are taken in YUV.
struct ClipFidelity {
    int frames = 0;
    int identicalFrames = 0;
    double psnrMean = 0;
    double psnrWorst = 0;
    int psnrWorstFrame = -1;
    double ssimMean = 0;
    double ssimWorst = 0;
    int ssimWorstFrame = -1;
};

class FidelityMeter {
public:
    /// The frame's own figures.
    Result<FrameFidelity> add(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b, int width,
                              int height);
    ClipFidelity result() const;

private:
    ClipFidelity m_sum; ///< the means hold sums until result()
};

} // namespace canopy
