#pragma once

// Private to core/media.

#include "core/media/frame.h"

namespace canopy::media {

/// EXIF orientation 1..8 applied: 1 as it is, 2 mirrored, 3 half turn, 4 flipped, 5 transposed, 6 quarter
/// turn clockwise, 7 transposed over the other diagonal, 8 quarter turn counter-clockwise. Other values
/// change nothing.
void orient(Frame& frame, int orientation);

} // namespace canopy::media
