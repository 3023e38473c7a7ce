#pragma once

#include <cstddef>
#include <string_view>

namespace canopy {

/// Bytes of the first word of `text` in the sense of Qwen2's split pattern, at least one. `text` is valid
/// UTF-8 and not empty. The pattern's alternatives, in their order:
///   (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N} | ␣?[^\s\p{L}\p{N}]+[\r\n]* |
///   \s*[\r\n]+ | \s+(?!\S) | \s+
/// Time is proportional to the word and the white space that follows it.
std::size_t qwenWordLength(std::string_view text);

} // namespace canopy
