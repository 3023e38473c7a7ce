#include "core/studio/make_thumbnail.h"

#include <algorithm>

namespace canopy {

Thumbnail makeThumbnail(std::span<const std::uint8_t> rgb, int width, int height) {
    const int factor = (std::max(width, height) + Thumbnail::kMaxSide - 1) / Thumbnail::kMaxSide;
    return shrunk(rgb, width, height, std::max(1, factor));
}

Thumbnail shrunk(std::span<const std::uint8_t> rgb, int width, int height, int factor) {
    Thumbnail t;
    if (width <= 0 || height <= 0 || factor < 1 ||
        rgb.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3)
        return t;
    t.width = std::max(1, width / factor);
    t.height = std::max(1, height / factor);
    if (factor == 1) {
        t.rgb.assign(rgb.begin(), rgb.end());
        return t;
    }
    t.rgb.reserve(static_cast<std::size_t>(t.width) * static_cast<std::size_t>(t.height) * 3);
    for (int y = 0; y < t.height; ++y)
        for (int x = 0; x < t.width; ++x)
            for (std::size_t c = 0; c < 3; ++c) {
                int sum = 0;
                int count = 0;
                for (int dy = 0; dy < factor && y * factor + dy < height; ++dy)
                    for (int dx = 0; dx < factor && x * factor + dx < width; ++dx, ++count)
                        sum +=
                            rgb[(static_cast<std::size_t>(y * factor + dy) * static_cast<std::size_t>(width) +
                                 static_cast<std::size_t>(x * factor + dx)) *
                                    3 +
                                c];
                t.rgb.push_back(static_cast<std::uint8_t>((sum + count / 2) / count));
            }
    return t;
}

} // namespace canopy
