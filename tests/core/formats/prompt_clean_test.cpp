#include "core/formats/prompt_clean.h"

#include <algorithm>

#include "core/formats/html_entities.h"
#include "core/formats/utf8.h"
#include "tests/core/formats/fixtures.h"

using namespace canopy;

namespace {

std::string clean(std::string_view text) {
    const auto out = cleanPrompt(text);
    REQUIRE_MESSAGE(out.ok(), out.error().message);
    return *out;
}

} // namespace

// Expected texts are those of the reference pipeline (ftfy 6.3.1 without repair of mis-decoded text, html,
// NFC).
TEST_CASE("prompt: cleaned as the reference pipeline does") {
    struct Row {
        const char* raw;
        const char* clean;
    };
    const Row rows[] = {
        {"", ""},
        {" \t\n ", ""},
        {"a\xC2\xA0\xE3\x80\x80 b", "a b"},
        {"&amp;amp;lt;x", "<x"},
        {"<b>&amp;amp;amp;lt;", "<b>&amp;lt;"},    // markup: only the two plain passes undo references
        {"<b>\n&amp;amp;amp;lt;", "<b> &amp;lt;"}, // and so in all lines after it
        {"&NTILDE;&ntilde", "\xC3\x91\xC3\xB1"},
        {"&notit;", "\xC2\xACit;"},
        {"&#59;&#x41", ";A"},
        {"&#133;&#x110000;&#xD800;&#7;", "\xE2\x80\xA6\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"&#99999999999999999999;", "\xEF\xBF\xBD"},
        {"\xEF\xBC\x86\xEF\xBD\x81\xEF\xBD\x8D\xEF\xBD\x90\xEF\xBC\x9B", "&"}, // full width "&amp;"
        {"\xEF\xBD\xB6\xEF\xBE\x9E", "\xE3\x82\xAC"},
        {"\xC5\x89", "'n"},
        {"\xEF\xAC\x83", "ffi"},
        {"\xE2\x80\x9Cq\xE2\x80\x9D \xE2\x80\x98s\xE2\x80\x99", "\"q\" 's'"},
        {"x\x1B[31;1my\x1B[0m\x07z", "xyz"},
        {"x\x1B[31", "x[31"},
        {"a\xEF\xBB\xBF\x01\x7F"
         "b",
         "ab"},
        {"\xC2\x85\xC2\x93", "\xE2\x80\xA6\""}, // C1 controls mean windows-1252
        {"a\r\nb\rc\xE2\x80\xA8"
         "d",
         "a b c d"},
        {"e\xCC\x81", "\xC3\xA9"},
        {"z\xE2\x80\x8Bz", "z\xE2\x80\x8Bz"},
    };
    for (const auto& row : rows)
        CHECK_EQ(clean(row.raw), row.clean);
}

TEST_CASE("prompt: refused when too long or no text") {
    CHECK(cleanPrompt(std::string(kMaxPromptBytes, 'a')).ok());
    const auto tooLong = cleanPrompt(std::string(kMaxPromptBytes + 1, 'a'));
    REQUIRE(!tooLong.ok());
    CHECK(tooLong.error().message.find("at most 65536") != std::string::npos);
    for (const char* bad : {"\xFF", "a\xC3", "\xED\xA0\x80"})
        CHECK_FALSE(cleanPrompt(bad).ok());
}

TEST_CASE("prompt: references to references stay bounded, results are text") {
    std::string nested = "&";
    while (nested.size() < 65000)
        nested += "amp;";
    const auto out = clean(nested + "lt;");
    CHECK(isValidUtf8(out));
    CHECK(out.size() < nested.size()); // some levels are undone, not all of sixteen thousand
    CHECK(isValidUtf8(clean(std::string(65536, '&'))));
    std::string marks;
    while (marks.size() + 2 <= 65536)
        marks += "\xCC\x81";
    CHECK(isValidUtf8(clean(marks)));
}

TEST_CASE("html: the table is sorted and complete") {
    const auto table = htmlEntities();
    CHECK_EQ(table.size(), 2231);
    CHECK(std::is_sorted(table.begin(), table.end(),
                         [](const HtmlEntity& a, const HtmlEntity& b) { return a.name < b.name; }));
    for (const auto& entity : table)
        CHECK(isValidUtf8(entity.text));
    CHECK_EQ(unescapeHtml("&CounterClockwiseContourIntegral;"), "\xE2\x88\xB3");
    CHECK_EQ(unescapeHtml("&"), "&");
    CHECK_EQ(unescapeHtml("&;"), "&;");
    CHECK_EQ(unescapeHtml("&#;&#x;"), "&#;&#x;");
    CHECK_EQ(unescapeHtmlStrict("&amp &amp;"), "&amp &");
}
