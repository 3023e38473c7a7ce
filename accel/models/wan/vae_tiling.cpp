#include "accel/models/wan/vae_tiling.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace canopy::accel {

namespace {

constexpr std::int64_t kCell = 8; ///< pixels per latent cell

} // namespace

std::vector<TileSpan> tileSpans(std::int64_t extent, const VaeTiling& tiling) {
    TORCH_CHECK(tiling.overlap > 0 && tiling.overlap % kCell == 0 && tiling.tile % kCell == 0 &&
                    tiling.tile >= 3 * tiling.overlap,
                "tiles of ", tiling.tile, " pixels with an overlap of ", tiling.overlap,
                "; expected multiples of 8 and a tile of at least three overlaps");
    const std::int64_t tile = tiling.tile / kCell;
    const std::int64_t overlap = tiling.overlap / kCell;
    if (extent <= tile)
        return {TileSpan{0, extent, -1, -1}};
    const std::int64_t count = (extent - overlap + tile - overlap - 1) / (tile - overlap);
    std::vector<TileSpan> spans;
    for (std::int64_t i = 0; i < count; ++i)
        spans.push_back({i * (extent - tile) / (count - 1), tile, -1, -1});
    for (std::size_t i = 1; i < spans.size(); ++i) {
        const double middle = static_cast<double>(spans[i].start + spans[i - 1].start + tile) / 2;
        spans[i - 1].middleBehind = middle;
        spans[i].middleBefore = middle;
    }
    return spans;
}

at::Tensor tileWeights(const TileSpan& span, const VaeTiling& tiling, std::int64_t scale) {
    const std::int64_t length = span.length * scale;
    at::Tensor weights = at::empty({length}, at::TensorOptions(at::kFloat));
    auto* out = weights.mutable_data_ptr<float>();
    const double ramp = static_cast<double>(tiling.overlap) / kCell * static_cast<double>(scale) / 2;
    // Share of what lies behind `middle` at a position: 0 before the ramp, 1 after it.
    const auto behind = [&](double position, double middle) {
        return std::clamp((position - middle * static_cast<double>(scale)) / ramp + 0.5, 0.0, 1.0);
    };
    for (std::int64_t i = 0; i < length; ++i) {
        const double position = static_cast<double>(span.start * scale + i) + 0.5;
        double weight = span.middleBefore < 0 ? 1.0 : behind(position, span.middleBefore);
        if (span.middleBehind >= 0)
            weight -= behind(position, span.middleBehind); // ramps never meet: a tile is three overlaps long
        out[i] = static_cast<float>(std::max(weight, 0.0));
    }
    return weights;
}

} // namespace canopy::accel
