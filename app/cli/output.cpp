#include "app/cli/output.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace canopy::cli {

ExitCode report(const Error& error) {
    std::fprintf(stderr, "%s\n", printable(error.message).c_str());
    return exitCodeFor(error.code);
}

std::string bytesText(std::uint64_t bytes) {
    std::array<char, 32> text{};
    if (bytes >= 1'000'000'000) {
        std::snprintf(text.data(), text.size(), "%.1f GB", double(bytes) / 1e9);
    } else {
        std::snprintf(text.data(), text.size(), "%.0f MB", std::ceil(double(bytes) / 1e6));
    }
    return text.data();
}

std::string secondsText(double seconds) {
    std::array<char, 32> text{};
    if (seconds < 60) {
        std::snprintf(text.data(), text.size(), "%.1f s", seconds);
    } else {
        const long whole = std::lround(seconds);
        std::snprintf(text.data(), text.size(), "%ld min %ld s", whole / 60, whole % 60);
    }
    return text.data();
}

std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        // Line breaks stay: several problems come one a line.
        out += (byte < 0x20 && c != '\n') || byte == 0x7F ? ' ' : c;
    }
    return out;
}

} // namespace canopy::cli
