#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace canopy::media {

/// One picture: tightly packed 8-bit RGB (sRGB / BT.709 values), rows from the top, with its time in the
/// clip.
struct Frame {
    int width = 0;
    int height = 0;
    std::int64_t ptsNanos = 0; ///< from the start of the clip; 0 for still images
    std::vector<std::uint8_t> rgb;

    std::size_t byteCount() const { return std::size_t(width) * std::size_t(height) * 3; }
    bool operator==(const Frame&) const = default;
};

/// The largest centred part with the target's aspect ratio, scaled to exactly width x height.
Frame resizedToFill(const Frame& frame, int width, int height);
/// The whole picture, scaled so that its longer side is at most `maxSide`; never enlarged.
Frame resizedToFit(const Frame& frame, int maxSide);

} // namespace canopy::media
