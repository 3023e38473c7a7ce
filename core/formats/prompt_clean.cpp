#include "core/formats/prompt_clean.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include <utf8proc.h>

#include "core/formats/html_entities.h"
#include "core/formats/utf8.h"

namespace canopy {

namespace {

/// Text that changes with every pass (references to references to ...) is left as it is after this many.
constexpr int kMaxPasses = 64;

struct Free {
    void operator()(utf8proc_uint8_t* p) const { std::free(p); }
};

std::string normalized(std::string_view text, utf8proc_option_t form) {
    utf8proc_uint8_t* raw = nullptr;
    const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                     static_cast<utf8proc_ssize_t>(text.size()), &raw,
                                     static_cast<utf8proc_option_t>(UTF8PROC_STABLE | form));
    const std::unique_ptr<utf8proc_uint8_t, Free> owner(raw);
    if (length < 0)
        return std::string(text); // only for invalid UTF-8, which was refused before
    return std::string(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(length));
}

/// A C1 control character means its windows-1252 character; five code points mean nothing there and stay.
char32_t fromC1(char32_t c) {
    static constexpr char16_t kTable[32] = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                            0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
                                            0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                            0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
    return c >= 0x80 && c <= 0x9F ? kTable[c - 0x80] : c;
}

/// The letters of a Latin ligature or digraph character; empty for anything else.
std::string_view ligature(char32_t c) {
    switch (c) {
    case 0x0132:
        return "IJ";
    case 0x0133:
        return "ij";
    case 0x0149:
        return "'n"; // its apostrophe is straightened like any other
    case 0x01C4:
        return "D\xC5\xBD";
    case 0x01C5:
        return "D\xC5\xBE";
    case 0x01C6:
        return "d\xC5\xBE";
    case 0x01C7:
        return "LJ";
    case 0x01C8:
        return "Lj";
    case 0x01C9:
        return "lj";
    case 0x01CA:
        return "NJ";
    case 0x01CB:
        return "Nj";
    case 0x01CC:
        return "nj";
    case 0x01F1:
        return "DZ";
    case 0x01F2:
        return "Dz";
    case 0x01F3:
        return "dz";
    case 0xFB00:
        return "ff";
    case 0xFB01:
        return "fi";
    case 0xFB02:
        return "fl";
    case 0xFB03:
        return "ffi";
    case 0xFB04:
        return "ffl";
    case 0xFB05:
        return "\xC5\xBFt";
    case 0xFB06:
        return "st";
    default:
        return {};
    }
}

bool isRemovedControl(char32_t c) {
    return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || (c >= 0x206A && c <= 0x206F) ||
           c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

bool isSpace(char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

/// One character after the table steps: controls, ligatures, widths, quotes, line ends.
void appendMapped(std::string& out, char32_t original) {
    const char32_t c = fromC1(original);
    if (const auto letters = ligature(c); !letters.empty()) {
        out += letters;
    } else if (c == 0x3000) {
        out += ' ';
    } else if (c >= 0xFF01 && c <= 0xFFEF) {
        std::string one;
        appendUtf8(one, c);
        out += normalized(one, static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_COMPAT));
    } else if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) {
        out += '\'';
    } else if (c >= 0x201C && c <= 0x201F) {
        out += '"';
    } else if (c == 0x2028 || c == 0x2029) {
        out += '\n';
    } else {
        appendUtf8(out, c);
    }
}

std::string mapCharacters(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        const auto c = decodeUtf8(text, i);
        if (c.value == '\r') {
            out += '\n';
            i += i + 1 < text.size() && text[i + 1] == '\n' ? 2 : 1;
            continue;
        }
        appendMapped(out, c.value);
        i += std::max<std::size_t>(c.length, 1);
    }
    return out;
}

/// Length of a terminal colour or cursor command at `text`, 0 when there is none: ESC [ digits and ; then one
/// letter.
std::size_t terminalEscape(std::string_view text) {
    if (!text.starts_with("\x1B["))
        return 0;
    std::size_t end = 2;
    while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == ';'))
        ++end;
    const bool letter = end < text.size() &&
                        ((text[end] >= 'a' && text[end] <= 'z') || (text[end] >= 'A' && text[end] <= 'Z'));
    return letter ? end + 1 : 0;
}

std::string withoutTerminalEscapes(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        if (const std::size_t length = terminalEscape(text.substr(i)))
            i += length;
        else
            out += text[i++];
    }
    return out;
}

std::string withoutControls(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        const auto c = decodeUtf8(text, i);
        const std::size_t length = std::max<std::size_t>(c.length, 1);
        if (!isRemovedControl(c.value))
            out += text.substr(i, length);
        i += length;
    }
    return out;
}

std::string fixSegment(std::string text, bool unescape) {
    for (int pass = 0; pass < kMaxPasses; ++pass) {
        std::string next = unescape ? unescapeHtmlStrict(text) : text;
        next = withoutControls(withoutTerminalEscapes(mapCharacters(next)));
        next = normalized(next, UTF8PROC_COMPOSE);
        if (next == text)
            break;
        text = std::move(next);
    }
    return text;
}

/// Line by line; from the first line on that holds "<" the text is taken for markup and its references stay.
std::string fixText(std::string_view text) {
    std::string out;
    bool unescape = true;
    while (!text.empty()) {
        const std::size_t lineEnd = text.find('\n');
        const auto line = text.substr(0, lineEnd == std::string_view::npos ? text.size() : lineEnd + 1);
        unescape = unescape && line.find('<') == std::string_view::npos;
        out += fixSegment(std::string(line), unescape);
        text.remove_prefix(line.size());
    }
    return out;
}

std::string collapseSpaces(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    bool pending = false;
    for (std::size_t i = 0; i < text.size();) {
        const auto c = decodeUtf8(text, i);
        const std::size_t length = std::max<std::size_t>(c.length, 1);
        if (isSpace(c.value)) {
            pending = !out.empty();
        } else {
            if (pending)
                out += ' ';
            pending = false;
            out += text.substr(i, length);
        }
        i += length;
    }
    return out;
}

} // namespace

Result<void> checkPrompt(std::string_view text) {
    if (text.size() > kMaxPromptBytes)
        return makeError(ErrorCode::InvalidArgument,
                         "The prompt has " + std::to_string(text.size()) + " bytes; at most " +
                             std::to_string(kMaxPromptBytes) + " are read. Shorten it");
    if (!isValidUtf8(text))
        return makeError(ErrorCode::InvalidArgument,
                         "The prompt is not valid UTF-8 text; type it again or save it as UTF-8");
    return {};
}

Result<std::string> cleanPrompt(std::string_view text) {
    if (auto checked = checkPrompt(text); !checked)
        return checked.error();
    return collapseSpaces(unescapeHtml(unescapeHtml(fixText(text))));
}

} // namespace canopy
