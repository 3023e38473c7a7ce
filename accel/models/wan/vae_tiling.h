#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace canopy::accel {

/// Spatial tiles of the autoencoder: less memory for more time, since overlaps are computed twice and a
/// tile's borders see zeros instead of their neighbours. Pixels of the video; multiples of 8.
struct VaeTiling {
    int tile = 256;   ///< edge length; at least three overlaps
    int overlap = 64; ///< at least this much between neighbours; the middle half of it is where they blend
};

/// One tile along one axis, in latent cells.
struct TileSpan {
    std::int64_t start = 0;
    std::int64_t length = 0;
    /// Middle of the overlap with the neighbour before and behind; -1 where there is none.
    double middleBefore = -1;
    double middleBehind = -1;
};

/// Tiles of equal length that cover [0, extent); one when it fits.
std::vector<TileSpan> tileSpans(std::int64_t extent, const VaeTiling& tiling);

/// Weights of a tile's cells along one axis, float32 [length * scale]: 1 inside, a straight ramp over half an
/// overlap around each middle, 0 beyond, where the tile's border shows. Weights of all tiles sum to 1
/// everywhere. scale: 8 for pixels, 1 for latent cells.
at::Tensor tileWeights(const TileSpan& span, const VaeTiling& tiling, std::int64_t scale);

} // namespace canopy::accel
