#include "core/studio/grown_frames.h"

#include "core/studio/make_thumbnail.h"

namespace canopy {

void GrowingClip::add(int index, int count, int width, int height, std::span<const std::uint8_t> rgb) {
    const auto pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
    if (index != static_cast<int>(m_now.pictures.size()) || width <= 0 || height <= 0 ||
        rgb.size() != pixels * 3)
        return;
    if (index == 0) {
        m_factor = 1;
        const auto all = pixels * 3 * static_cast<std::size_t>(std::max(1, count));
        while (all / static_cast<std::size_t>(m_factor * m_factor) > GrownFrames::kMostBytes)
            ++m_factor;
        m_now.count = count;
    }
    Thumbnail small = shrunk(rgb, width, height, m_factor);
    m_now.width = small.width;
    m_now.height = small.height;
    m_now.pictures.push_back(std::make_shared<const std::vector<std::uint8_t>>(std::move(small.rgb)));
    m_now.looks.push_back(lookOf(rgb, width, height));
    m_shown.reset();
}

std::shared_ptr<const GrownFrames> GrowingClip::current() {
    if (!m_shown && !m_now.pictures.empty())
        m_shown = std::make_shared<const GrownFrames>(m_now);
    return m_shown;
}

} // namespace canopy
