#include "core/media/orient.h"

#include <algorithm>

namespace canopy::media {

void orient(Frame& frame, int orientation) {
    if (orientation < 2 || orientation > 8)
        return;
    const bool swapped = orientation >= 5;
    const int w = frame.width;
    const int h = frame.height;
    Frame out{swapped ? h : w, swapped ? w : h, frame.ptsNanos, {}};
    out.rgb.resize(out.byteCount());
    for (int y = 0; y < h; ++y)
        for (int x = 0; x < w; ++x) {
            int toX = swapped ? y : x;
            int toY = swapped ? x : y;
            if (orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7)
                toX = out.width - 1 - toX;
            if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8)
                toY = out.height - 1 - toY;
            const auto from =
                (static_cast<std::size_t>(y) * static_cast<std::size_t>(w) + static_cast<std::size_t>(x)) * 3;
            const auto to = (static_cast<std::size_t>(toY) * static_cast<std::size_t>(out.width) +
                             static_cast<std::size_t>(toX)) *
                            3;
            std::copy_n(&frame.rgb[from], 3, &out.rgb[to]);
        }
    frame = std::move(out);
}

} // namespace canopy::media
