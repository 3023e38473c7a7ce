#include "core/job/vae_memory.h"

#include <algorithm>

namespace canopy {

namespace {

using Bytes = std::uint64_t;

constexpr Bytes kRing = 3;            ///< frames that a causal convolution keeps
constexpr Bytes kFramesPerLatent = 4; ///< handed out together
constexpr Bytes kRgb = 3;
/// Measured on the CPU beside what the sums below say (peak resident, starter, bfloat16 and float32, 33
/// frames of 320x192 and 5 of 640x384): 19 to 22 MiB of convolution scratch and code touched for the first
/// time.
constexpr Bytes kScratch = 22u << 20;

/// Elements that the decoder holds at once, all rings included, for video frames of `pixels`.
Bytes decoderElements(const VaeConfig& config, Bytes pixels) {
    const std::size_t levels = config.dimMultipliers.size();
    const Bytes base = static_cast<Bytes>(config.baseDim);
    const Bytes blocks = static_cast<Bytes>(config.resBlocks) + 1;
    Bytes area = pixels >> (2 * (levels - 1)); // of the latent picture
    Bytes width = base * static_cast<Bytes>(config.dimMultipliers.back());
    Bytes rings = area * (static_cast<Bytes>(config.latentChannels) + 4 * width);
    Bytes widestMoment = area * 4 * width; // attention: q, k, v and the residual
    for (std::size_t i = 0; i < levels; ++i) {
        const Bytes out = base * static_cast<Bytes>(config.dimMultipliers[levels - 1 - i]);
        rings += area * (width + (2 * blocks - 1) * out);
        // A block's input, first and second result; one more frame of the level above waits where time
        // doubles.
        widestMoment = std::max(widestMoment, area * 4 * out);
        if (i + 1 == levels) {
            rings += area * out;
            break;
        }
        if (config.temporalDownsample[levels - 2 - i])
            rings += area * out;
        area *= 4;
        widestMoment = std::max(widestMoment, area * (out + out / 2)); // enlarged picture and its convolution
        width = out / 2;
    }
    return kRing * rings + widestMoment + kFramesPerLatent * kRgb * pixels * 2;
}

} // namespace

VaeDecodeBytes vaeDecodeBytes(const VaeConfig& config, int frames, int height, int width, int bytesPerElement,
                              int tile) {
    const Bytes pixels = static_cast<Bytes>(std::max(height, 0)) * static_cast<Bytes>(std::max(width, 0));
    const bool tiled = tile > 0 && (height > tile || width > tile);
    const Bytes part =
        tiled ? static_cast<Bytes>(std::min(height, tile)) * static_cast<Bytes>(std::min(width, tile))
              : pixels;
    VaeDecodeBytes bytes;
    bytes.device = decoderElements(config, part) * static_cast<Bytes>(bytesPerElement);
    bytes.host = kScratch + kFramesPerLatent * kRgb * pixels * (4 + 1); // float32, then bytes
    if (tiled)
        bytes.host += static_cast<Bytes>(std::max(frames, 0)) * kRgb * pixels * 2; // half-precision clip
    return bytes;
}

} // namespace canopy
