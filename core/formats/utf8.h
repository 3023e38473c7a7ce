#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace canopy {

/// One decoded character. `length` 0 = no valid UTF-8 starts here.
struct Utf8Char {
    char32_t value = 0;
    std::size_t length = 0;
};

/// Decodes at `position`, which is inside `text`. Overlong forms, surrogates and values above U+10FFFF are
/// invalid.
Utf8Char decodeUtf8(std::string_view text, std::size_t position);
bool isValidUtf8(std::string_view text);
void appendUtf8(std::string& out, char32_t value);

} // namespace canopy
