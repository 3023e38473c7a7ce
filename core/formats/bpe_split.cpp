#include "core/formats/bpe_split.h"

#include <array>

#include <utf8proc.h>

#include "core/formats/utf8.h"

namespace canopy {

namespace {

enum class Kind { Letter, Number, Newline, Space, Other, End };

/// Unicode's White_Space, which is what \s means in the pattern.
bool isWhiteSpace(char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

Kind kindOf(char32_t c) {
    if (c == '\r' || c == '\n')
        return Kind::Newline;
    if (isWhiteSpace(c))
        return Kind::Space;
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return Kind::Letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return Kind::Number;
    default:
        return Kind::Other;
    }
}

struct Symbol {
    Kind kind = Kind::End;
    std::size_t length = 0;
};

Symbol symbolAt(std::string_view text, std::size_t at) {
    if (at >= text.size())
        return {};
    const auto c = decodeUtf8(text, at);
    return {kindOf(c.value), c.length};
}

/// End of the run of `wanted` that begins at `at`.
template <typename Wanted>
std::size_t runEnd(std::string_view text, std::size_t at, Wanted wanted) {
    for (Symbol s = symbolAt(text, at); s.kind != Kind::End && wanted(s.kind); s = symbolAt(text, at))
        at += s.length;
    return at;
}

/// Length of an English contraction, 0 when there is none. Case does not matter; to Unicode's case folding
/// the long s (U+017F) is an s.
std::size_t contraction(std::string_view text) {
    if (text.size() < 2 || text[0] != '\'')
        return 0;
    if (text.substr(1).starts_with("\xC5\xBF"))
        return 3;
    const auto lower = [&](std::size_t at) -> char {
        const char c = at < text.size() ? text[at] : '\0';
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    };
    const char first = lower(1), second = lower(2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return 2;
    if ((first == 'r' || first == 'v') && second == 'e')
        return 3;
    return first == 'l' && second == 'l' ? 3 : 0;
}

/// A run of white space: up to its last newline, else all but the character that leads the next word.
std::size_t whiteSpace(std::string_view text) {
    std::size_t end = 0, afterNewline = 0, last = 0;
    for (Symbol s = symbolAt(text, 0); s.kind == Kind::Newline || s.kind == Kind::Space;
         s = symbolAt(text, end)) {
        last = end;
        end += s.length;
        if (s.kind == Kind::Newline)
            afterNewline = end;
    }
    if (afterNewline != 0)
        return afterNewline;
    return end == text.size() || last == 0 ? end : last;
}

} // namespace

std::size_t qwenWordLength(std::string_view text) {
    const auto isLetter = [](Kind k) { return k == Kind::Letter; };
    const auto isOther = [](Kind k) { return k == Kind::Other; };
    const auto isNewline = [](Kind k) { return k == Kind::Newline; };
    if (const std::size_t length = contraction(text))
        return length;
    const Symbol first = symbolAt(text, 0);
    if (first.kind == Kind::Letter)
        return runEnd(text, first.length, isLetter);
    const Symbol second = symbolAt(text, first.length);
    const bool mayLead = first.kind == Kind::Space || first.kind == Kind::Other;
    if (mayLead && second.kind == Kind::Letter)
        return runEnd(text, first.length + second.length, isLetter);
    if (first.kind == Kind::Number)
        return first.length;
    if (first.kind == Kind::Other || (text[0] == ' ' && second.kind == Kind::Other))
        return runEnd(text, runEnd(text, first.length, isOther), isNewline);
    return whiteSpace(text);
}

} // namespace canopy
