#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace canopy::media {

/// Packed 8-bit RGB scaled to toWidth x toHeight, aspect ratio ignored, byte for byte as Pillow's
/// `Image.resize((toWidth, toHeight), BICUBIC)`: cubic kernel with a = -0.5, stretched when the picture gets
/// smaller, weights in fixed point, rows and columns one after the other and rounded to a byte after each. As
/// in Pillow 13, the columns come first where the height loses more than twice as many pixels as the width;
/// older versions always begin with the rows, which differs in some bytes of tall pictures.
/// token-forest.md 1.3. All sizes are at least 1; `rgb` has width * height * 3 bytes.
std::vector<std::uint8_t> pilBicubic(std::span<const std::uint8_t> rgb, int width, int height, int toWidth,
                                     int toHeight);

} // namespace canopy::media
