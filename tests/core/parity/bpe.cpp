#include <algorithm>
#include <cstdlib>
#include <string>
#include <unordered_map>

#include <doctest/doctest.h>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/byte_bpe.h"
#include "core/formats/utf8.h"
#include "tests/core/parity/parity_case.h"

namespace canopy::test {

namespace {

namespace fs = std::filesystem;

std::string fromEnvironment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

/// Where Python packages may lie: $CANOPY_VOCABULARY_DIR, the active environment, the usual places.
std::vector<fs::path> packageFolders(const fs::path& caseFolder) {
    std::vector<fs::path> out = {caseFolder};
    if (const auto own = fromEnvironment("CANOPY_VOCABULARY_DIR"); !own.empty())
        out.emplace_back(own);
    for (const auto& base : {fromEnvironment("VIRTUAL_ENV"), fromEnvironment("HOME") + "/.local",
                             std::string("/usr/local"), std::string("/usr")}) {
        std::error_code failed;
        for (fs::directory_iterator it(fs::path(base) / "lib", failed), end; !failed && it != end;
             it.increment(failed))
            if (it->path().filename().string().starts_with("python3"))
                for (const char* name : {"site-packages", "dist-packages"})
                    out.push_back(it->path() / name);
    }
    return out;
}

/// The vocabulary of a case: a file of this repository, or of a Python package.
fs::path findVocabulary(const StoredCase& stored, const std::string& path) {
    const fs::path source = fromEnvironment("CANOPY_SOURCE_DIR");
    if (fs::exists(source / path))
        return source / path;
    for (const auto& folder : packageFolders(stored.folder))
        for (const fs::path& candidate : {folder / path, folder / fs::path(path).filename()})
            if (std::error_code failed; fs::is_regular_file(candidate, failed))
                return candidate;
    return {};
}

std::string decodeBase64(std::string_view text) {
    static constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    std::uint32_t group = 0;
    int held = 0;
    for (const char c : text) {
        if (c == '=')
            break;
        group = group << 6 | static_cast<std::uint32_t>(kDigits.find(c));
        held += 6;
        if (held >= 8) {
            held -= 8;
            out += static_cast<char>(group >> held & 0xFF);
        }
    }
    return out;
}

/// The spelling of bytes in vocab.json.
std::string symbols(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        const auto b = static_cast<unsigned char>(c);
        if ((b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD)) {
            appendUtf8(out, b);
            continue;
        }
        char32_t next = 0x100;
        for (unsigned other = 0; other < b; ++other)
            next += !((other >= 0x21 && other <= 0x7E) || (other >= 0xA1 && other != 0xAD));
        appendUtf8(out, next);
    }
    return out;
}

using Ranks = std::unordered_map<std::string, std::int32_t>;

/// The two parts whose merge makes `token`: its bytes, merged by all lower ranks.
std::pair<std::string, std::string> partsOf(const std::string& token, const Ranks& ranks) {
    const std::int32_t own = ranks.at(token);
    std::vector<std::string> parts;
    for (const char c : token)
        parts.emplace_back(1, c);
    while (parts.size() > 2) {
        std::int32_t best = own;
        std::size_t at = 0;
        for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
            const auto found = ranks.find(parts[i] + parts[i + 1]);
            if (found != ranks.end() && found->second < best) {
                best = found->second;
                at = i;
            }
        }
        REQUIRE_MESSAGE(best < own, "a token of the vocabulary cannot be reached by merges");
        parts[at] += parts[at + 1];
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
    return {parts[0], parts[1]};
}

/// A .tiktoken file (base64 and rank a line, id = rank = priority) as the two files of the other spelling.
BpeTokenizer fromTiktoken(const std::string& text, const Value& specialTokens) {
    Ranks ranks;
    std::vector<std::string> byRank;
    for (std::size_t begin = 0; begin < text.size();) {
        const auto end = std::min(text.find('\n', begin), text.size());
        const std::string_view line = std::string_view(text).substr(begin, end - begin);
        begin = end + 1;
        if (line.empty())
            continue;
        byRank.push_back(decodeBase64(line.substr(0, line.find(' '))));
        ranks.emplace(byRank.back(), std::stoi(std::string(line.substr(line.find(' ') + 1))));
    }
    Value vocabulary;
    std::string merges = "#version: 0.2\n";
    for (const auto& token : byRank) {
        vocabulary.set(symbols(token), ranks.at(token));
        if (token.size() == 1)
            continue;
        const auto [left, right] = partsOf(token, ranks);
        merges += symbols(left) + ' ' + symbols(right) + '\n';
    }
    auto tokenizer = BpeTokenizer::fromVocabulary(toJson(vocabulary), merges, toJson(specialTokens));
    REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.error().message);
    return std::move(*tokenizer);
}

std::vector<std::int32_t> idsOf(const Value& list) {
    std::vector<std::int32_t> out;
    for (const auto& id : list.asArray())
        out.push_back(static_cast<std::int32_t>(id.asInt()));
    return out;
}

} // namespace

/// Strings to ids and back, bit-equal. The vocabulary is not stored with the case.
void checkByteBpe(const StoredCase& stored) {
    const auto& vocabulary = stored.json["vocabulary"];
    const auto& path = vocabulary["path"].asString();
    const fs::path file = findVocabulary(stored, path);
    if (file.empty()) {
        MESSAGE("skipped: ", stored.name, " needs ", path, ". Run pip install --no-deps ",
                vocabulary["pip"].asString(), "==", vocabulary["version"].asString(),
                " and set CANOPY_VOCABULARY_DIR to the site-packages folder that then holds it.");
        return;
    }
    const auto text = readTextFile(file, 64u << 20);
    REQUIRE_MESSAGE(text.ok(), text.error().message);
    auto opened = file.extension() == ".tiktoken"
                      ? Result<BpeTokenizer>(fromTiktoken(*text, stored.json["special_tokens"]))
                      : BpeTokenizer::open(file);
    REQUIRE_MESSAGE(opened.ok(), opened.error().message);
    const BpeTokenizer& tokenizer = *opened;
    const auto& rows = stored.json["strings"].asArray();
    REQUIRE(!rows.empty());
    for (const auto& row : rows) {
        const auto& words = row["text"].asString();
        const auto ids = tokenizer.encode(words, SpecialTokens::AsTokens);
        REQUIRE_MESSAGE(ids.ok(), ids.error().message);
        CHECK_MESSAGE(*ids == idsOf(row["ids"]), stored.name, ": ", words);
        if (row.contains("ids_without_special")) {
            const auto plain = tokenizer.encode(words, SpecialTokens::AsText);
            REQUIRE_MESSAGE(plain.ok(), plain.error().message);
            CHECK_MESSAGE(*plain == idsOf(row["ids_without_special"]), stored.name, ": ", words);
        }
        const std::string expected = row["decoded"].isString() ? row["decoded"].asString() : words;
        CHECK_MESSAGE(tokenizer.decodeAll(*ids) == expected, stored.name, ": ", words);
    }
}

} // namespace canopy::test
