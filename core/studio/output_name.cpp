#include "core/studio/studio.h"

namespace canopy {

std::string outputName(std::string_view prompt, std::uint64_t seed) {
    constexpr std::size_t kMaxBytes = 48;
    std::string name;
    bool gap = false;
    for (const char c : prompt) {
        const bool upper = c >= 'A' && c <= 'Z';
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!upper && !plain) {
            gap = !name.empty();
            continue;
        }
        if (name.size() + (gap ? 2 : 1) > kMaxBytes)
            break;
        if (gap)
            name += '-';
        gap = false;
        name += upper ? static_cast<char>(c - 'A' + 'a') : c;
    }
    if (name.empty()) // a prompt without Latin letters
        name = "clip";
    return name + "-" + std::to_string(seed);
}

} // namespace canopy
