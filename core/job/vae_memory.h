#pragma once

#include <cstdint>

#include "core/formats/model_config.h"

namespace canopy {

/// What decoding takes beside the weights.
struct VaeDecodeBytes {
    std::uint64_t device =
        0; ///< rings of three frames per causal convolution, and the intermediates of one frame
    std::uint64_t host = 0; ///< eight-bit frames on their way out, and the clip itself when decoding in tiles
};

/// Pure. frames, height and width of the video; tile = edge of a tile in pixels, 0 for whole frames. Untiled,
/// nothing depends on the number of frames. accel/models/wan/vae_decoder.h says what is kept.
VaeDecodeBytes vaeDecodeBytes(const VaeConfig& config, int frames, int height, int width, int bytesPerElement,
                              int tile);

} // namespace canopy
