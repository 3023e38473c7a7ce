// unescapeHtml and unescapeHtmlStrict of html_entities.h.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>

#include <utf8proc.h>

#include "core/formats/html_entities.h"
#include "core/formats/utf8.h"

namespace canopy {

namespace {

bool isDigit(char c) {
    return c >= '0' && c <= '9';
}
bool isHexDigit(char c) {
    return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool isAlphanumeric(char c) {
    return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

const HtmlEntity* findEntity(std::string_view name) {
    const auto table = htmlEntities();
    const auto found =
        std::lower_bound(table.begin(), table.end(), name,
                         [](const HtmlEntity& e, std::string_view wanted) { return e.name < wanted; });
    return found != table.end() && found->name == name ? &*found : nullptr;
}

/// Numbers 0x80 to 0x9F mean what they mean in windows-1252; 0 stands for a number that keeps its own
/// meaning.
constexpr std::array<char16_t, 32> kWindows1252 = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

/// Control characters and noncharacters, which references never produce.
bool isDropped(std::uint32_t n) {
    return (n >= 0x1 && n <= 0x8) || n == 0xB || (n >= 0xE && n <= 0x1F) || (n >= 0x7F && n <= 0x9F) ||
           (n >= 0xFDD0 && n <= 0xFDEF) || (n & 0xFFFE) == 0xFFFE;
}

/// What "&#" digits means. `digits` has at least one digit.
std::string numericReference(std::string_view digits, unsigned base) {
    std::uint32_t n = 0;
    for (const char c : digits) {
        const unsigned digit =
            isDigit(c) ? static_cast<unsigned>(c - '0') : static_cast<unsigned>((c | 0x20) - 'a' + 10);
        n = std::min<std::uint32_t>(n * base + digit, 0x110000);
    }
    std::string out;
    if (n >= 0x80 && n <= 0x9F) {
        const char32_t mapped = kWindows1252[n - 0x80];
        appendUtf8(out, mapped ? mapped : n);
    } else if (n == 0 || n > 0x10FFFF || (n >= 0xD800 && n <= 0xDFFF)) {
        appendUtf8(out, 0xFFFD);
    } else if (n == 0x0D || !isDropped(n)) {
        appendUtf8(out, n);
    }
    return out;
}

/// A numeric reference at `text`, which begins with "&#": its text and the bytes it takes; 0 bytes = none.
std::size_t numericAt(std::string_view text, std::string& out) {
    const bool hex = text.size() > 2 && (text[2] == 'x' || text[2] == 'X');
    const std::size_t begin = hex ? 3 : 2;
    std::size_t end = begin;
    while (end < text.size() && (hex ? isHexDigit(text[end]) : isDigit(text[end])))
        ++end;
    if (end == begin)
        return 0;
    out += numericReference(text.substr(begin, end - begin), hex ? 16 : 10);
    return end < text.size() && text[end] == ';' ? end + 1 : end;
}

/// A named reference of the lenient kind at `text`, which begins with "&".
std::size_t namedAt(std::string_view text, std::string& out) {
    static constexpr std::string_view kEnds = "\t\n\f <&#;";
    std::size_t end = 1;
    for (int characters = 0;
         end < text.size() && characters < 32 && kEnds.find(text[end]) == std::string_view::npos;
         ++characters)
        end += std::max<std::size_t>(decodeUtf8(text, end).length, 1);
    if (end == 1)
        return 0;
    if (end < text.size() && text[end] == ';')
        ++end;
    const auto name = text.substr(1, end - 1);
    if (const auto* entity = findEntity(name)) {
        out += entity->text;
        return end;
    }
    for (std::size_t length = name.size() - 1; length > 1; --length) {
        if (const auto* entity = findEntity(name.substr(0, length))) {
            out += entity->text;
            return 1 + length;
        }
    }
    return 0;
}

std::string upperCase(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        const auto c = decodeUtf8(text, i);
        appendUtf8(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c.value))));
        i += std::max<std::size_t>(c.length, 1);
    }
    return out;
}

/// "NTILDE;" to its capital letter, for names that mean nothing in capitals.
const std::map<std::string, std::string, std::less<>>& upperCaseEntities() {
    static const auto table = [] {
        std::map<std::string, std::string, std::less<>> out;
        for (const auto& entity : htmlEntities()) {
            if (!entity.name.ends_with(';') || std::any_of(entity.name.begin(), entity.name.end(),
                                                           [](char c) { return c >= 'A' && c <= 'Z'; }))
                continue;
            std::string name(entity.name);
            for (char& c : name)
                if (c >= 'a' && c <= 'z')
                    c = static_cast<char>(c - 'a' + 'A');
            if (unescapeHtml("&" + name) == "&" + name)
                out.emplace(std::move(name), upperCase(entity.text));
        }
        return out;
    }();
    return table;
}

} // namespace

std::string unescapeHtml(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        const auto rest = text.substr(i);
        std::size_t taken = 0;
        if (rest[0] == '&')
            taken = rest.size() > 1 && rest[1] == '#' ? numericAt(rest, out) : namedAt(rest, out);
        if (taken == 0) {
            out += rest[0];
            taken = 1;
        }
        i += taken;
    }
    return out;
}

std::string unescapeHtmlStrict(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        const auto rest = text.substr(i);
        std::size_t taken = 0;
        if (rest[0] == '&') {
            const std::size_t begin = rest.size() > 1 && rest[1] == '#' ? 2 : 1;
            std::size_t end = begin;
            while (end < rest.size() && end - begin < 25 && isAlphanumeric(rest[end]))
                ++end;
            const bool complete = end > begin && end - begin <= 24 && end < rest.size() && rest[end] == ';';
            if (complete && begin == 2) {
                // All of it must be a number, and the number must not be a semicolon itself.
                std::string number;
                if (numericAt(rest, number) == end + 1 && number != ";") {
                    out += number;
                    taken = end + 1;
                }
            } else if (complete) {
                const auto name = rest.substr(1, end);
                const auto& capitals = upperCaseEntities();
                if (const auto* entity = findEntity(name)) {
                    out += entity->text;
                    taken = end + 1;
                } else if (const auto found = capitals.find(name); found != capitals.end()) {
                    out += found->second;
                    taken = end + 1;
                }
            }
        }
        if (taken == 0) {
            out += rest[0];
            taken = 1;
        }
        i += taken;
    }
    return out;
}

} // namespace canopy
