#pragma once

#include <span>
#include <string>
#include <string_view>

namespace canopy {

struct HtmlEntity {
    std::string_view name; ///< without "&"; most end in ";", a few old ones exist without it too
    std::string_view text; ///< UTF-8
};

/// The named characters of the HTML standard, sorted by name as bytes.
std::span<const HtmlEntity> htmlEntities();

/// Undoes character references as the HTML standard's tokenizer does: unterminated ones and the longest known
/// prefix of an unknown name included, numbers outside of Unicode replaced, those of control characters
/// dropped. One pass.
std::string unescapeHtml(std::string_view text);

/// The cautious form: references that end in ";" and are known as a whole, also names written in capitals
/// where those mean nothing else. One pass.
std::string unescapeHtmlStrict(std::string_view text);

} // namespace canopy
