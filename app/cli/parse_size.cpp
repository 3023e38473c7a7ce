#include "app/cli/parse_size.h"

#include <charconv>

namespace canopy::cli {

bool parseSize(const std::string& text, int& width, int& height) {
    const char* end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, width);
    if (first.ec != std::errc() || first.ptr == end || (*first.ptr != 'x' && *first.ptr != 'X')) {
        return false;
    }
    const auto second = std::from_chars(first.ptr + 1, end, height);
    return second.ec == std::errc() && second.ptr == end && width > 0 && height > 0;
}

} // namespace canopy::cli
