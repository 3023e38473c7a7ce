#include "core/formats/byte_bpe.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <queue>
#include <unordered_map>

#include <utf8proc.h>

#include "core/base/files.h"
#include "core/formats/bpe_model.h"
#include "core/formats/bpe_split.h"
#include "core/formats/piece_trie.h"
#include "core/formats/utf8.h"

namespace canopy {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{64} << 20;
constexpr std::size_t kMaxTextBytes = std::size_t{4} << 20;
/// Sorting the marks of one letter takes the square of their number.
constexpr std::size_t kMaxMarks = 1024;

std::uint64_t pairKey(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
}

Result<void> checkText(std::string_view text) {
    if (text.size() > kMaxTextBytes)
        return makeError(ErrorCode::InvalidArgument, "The text has " + std::to_string(text.size()) +
                                                         " bytes; expected at most " +
                                                         std::to_string(kMaxTextBytes) + ". Shorten it");
    std::size_t marks = 0;
    for (std::size_t i = 0; i < text.size();) {
        const auto c = decodeUtf8(text, i);
        if (c.length == 0)
            return makeError(ErrorCode::InvalidArgument,
                             "The text is no UTF-8 at byte " + std::to_string(i) + "; type it again");
        const bool isMark =
            c.value >= 0x300 &&
            utf8proc_get_property(static_cast<utf8proc_int32_t>(c.value))->combining_class != 0;
        marks = isMark ? marks + 1 : 0;
        if (marks > kMaxMarks)
            return makeError(ErrorCode::InvalidArgument, "The text has more than " +
                                                             std::to_string(kMaxMarks) +
                                                             " combining marks in a row; remove them");
        i += c.length;
    }
    return {};
}

/// Normalisation form C. `text` is valid UTF-8.
Result<std::string> toNfc(std::string_view text) {
    if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; }))
        return std::string(text);
    utf8proc_uint8_t* out = nullptr;
    const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &out,
                                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(out, &std::free);
    if (size < 0)
        return makeError(ErrorCode::OutOfMemory, std::string("The text cannot be normalised: ") +
                                                     utf8proc_errmsg(size) + ". Shorten it");
    return std::string(reinterpret_cast<const char*>(out), static_cast<std::size_t>(size));
}

/// Length of the sequence that the bytes at `at` are or begin: what one U+FFFD stands for when it is not
/// valid (Unicode 3.9, maximal subpart). `open` says that the text ended inside a sequence that was valid so
/// far.
struct Sequence {
    std::size_t length = 1;
    bool valid = false;
    bool open = false;
};

Sequence sequenceAt(std::string_view bytes, std::size_t at) {
    if (const auto c = decodeUtf8(bytes, at); c.length != 0)
        return {c.length, true, false};
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned lead = byte(at);
    if (lead < 0xC2 || lead > 0xF4)
        return {};
    const std::size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    // The second byte's range is narrower after some leads: no overlong forms, surrogates or huge values.
    const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    Sequence out;
    for (; out.length < wanted; ++out.length) {
        if (at + out.length >= bytes.size()) {
            out.open = true;
            return out;
        }
        const unsigned next = byte(at + out.length);
        const bool second = out.length == 1;
        if (next < (second ? low : 0x80u) || next > (second ? high : 0xBFu))
            return out;
    }
    return out;
}

std::string toText(std::string_view bytes, bool holdBackOpenEnd) {
    std::string out;
    out.reserve(bytes.size());
    for (std::size_t i = 0; i < bytes.size();) {
        const Sequence s = sequenceAt(bytes, i);
        if (s.valid)
            out += bytes.substr(i, s.length);
        else if (!s.open || !holdBackOpenEnd)
            out += "\xEF\xBF\xBD";
        i += s.length;
    }
    return out;
}

} // namespace

struct BpeTokenizer::Tables {
    struct Merge {
        std::uint32_t rank = 0;
        std::int32_t result = 0;
    };

    BpeModel model;
    std::array<std::int32_t, 256> byteIds{};
    std::unordered_map<std::uint64_t, Merge> merges;
    PieceTrie allAdded;
    PieceTrie plainAdded; ///< without special ones
    std::vector<bool> isSpecial;

    const Merge* find(std::int32_t left, std::int32_t right) const {
        const auto found = merges.find(pairKey(left, right));
        return found == merges.end() ? nullptr : &found->second;
    }
    void mergeWord(std::string_view word, std::vector<std::int32_t>& ids) const;
    Result<void> encodeText(std::string_view text, std::vector<std::int32_t>& ids) const;
    std::string bytesOf(std::span<const std::int32_t> ids, bool withSpecial) const;
};

/// The pair of lowest rank first, the leftmost of equal ones, until none is left. Symbols form a linked list;
/// a queue entry whose symbols have changed since is skipped.
void BpeTokenizer::Tables::mergeWord(std::string_view word, std::vector<std::int32_t>& ids) const {
    constexpr std::int32_t kNone = -1;
    struct Symbol {
        std::int32_t id, previous, next;
    };
    struct Candidate {
        std::uint32_t rank;
        std::int32_t at;
        std::int32_t left, right;
        bool operator>(const Candidate& other) const {
            return rank != other.rank ? rank > other.rank : at > other.at;
        }
    };
    const auto count = static_cast<std::int32_t>(word.size());
    std::vector<Symbol> symbols(word.size());
    for (std::int32_t i = 0; i < count; ++i) {
        const auto byte = static_cast<unsigned char>(word[static_cast<std::size_t>(i)]);
        symbols[static_cast<std::size_t>(i)] = {byteIds[byte], i - 1, i + 1 < count ? i + 1 : kNone};
    }
    const auto symbol = [&](std::int32_t at) -> Symbol& { return symbols[static_cast<std::size_t>(at)]; };
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto offer = [&](std::int32_t at) {
        if (at == kNone || symbol(at).next == kNone)
            return;
        const std::int32_t left = symbol(at).id, right = symbol(symbol(at).next).id;
        if (const Merge* merge = find(left, right))
            queue.push({merge->rank, at, left, right});
    };
    for (std::int32_t i = 0; i + 1 < count; ++i)
        offer(i);
    while (!queue.empty()) {
        const Candidate c = queue.top();
        queue.pop();
        const std::int32_t next = symbol(c.at).next;
        if (symbol(c.at).id != c.left || next == kNone || symbol(next).id != c.right)
            continue;
        symbol(c.at).id = find(c.left, c.right)->result;
        symbol(next).id = kNone; // no candidate that names this place fits any more
        symbol(c.at).next = symbol(next).next;
        if (symbol(next).next != kNone)
            symbol(symbol(next).next).previous = c.at;
        offer(symbol(c.at).previous);
        offer(c.at);
    }
    for (std::int32_t i = 0; i != kNone; i = symbol(i).next)
        ids.push_back(symbol(i).id);
}

Result<void> BpeTokenizer::Tables::encodeText(std::string_view text, std::vector<std::int32_t>& ids) const {
    if (text.empty())
        return {};
    std::string normalized;
    if (model.nfc) {
        auto nfc = toNfc(text);
        if (!nfc)
            return nfc.error();
        normalized = std::move(*nfc);
        text = normalized;
    }
    while (!text.empty()) {
        const std::size_t length = qwenWordLength(text);
        mergeWord(text.substr(0, length), ids);
        text.remove_prefix(length);
    }
    return {};
}

std::string BpeTokenizer::Tables::bytesOf(std::span<const std::int32_t> ids, bool withSpecial) const {
    std::string out;
    for (const std::int32_t id : ids) {
        const auto index = static_cast<std::size_t>(id);
        if (id < 0 || index >= model.tokens.size())
            continue;
        if (withSpecial || !isSpecial[index])
            out += model.tokens[index];
    }
    return out;
}

BpeTokenizer::BpeTokenizer(std::shared_ptr<const Tables> tables)
    : m_tables(std::move(tables)) {}

Result<BpeTokenizer> BpeTokenizer::fromModel(Result<BpeModel> model) {
    if (!model)
        return model.error();
    auto tables = std::make_shared<Tables>();
    tables->model = std::move(*model);
    const auto& m = tables->model;
    tables->isSpecial.assign(m.tokens.size(), false);
    std::vector<std::pair<std::string_view, std::int32_t>> all, plain;
    for (const auto& token : m.added) {
        tables->isSpecial[static_cast<std::size_t>(token.id)] = token.special;
        all.emplace_back(token.text, token.id);
        if (!token.special)
            plain.emplace_back(token.text, token.id);
    }
    tables->allAdded = PieceTrie(std::move(all));
    tables->plainAdded = PieceTrie(std::move(plain));
    for (std::size_t id = 0; id < m.tokens.size(); ++id)
        if (m.tokens[id].size() == 1)
            tables->byteIds[static_cast<unsigned char>(m.tokens[id][0])] = static_cast<std::int32_t>(id);
    tables->merges.reserve(m.merges.size());
    for (std::size_t rank = 0; rank < m.merges.size(); ++rank)
        tables->merges.try_emplace(pairKey(m.merges[rank].left, m.merges[rank].right),
                                   Tables::Merge{static_cast<std::uint32_t>(rank), m.merges[rank].result});
    return BpeTokenizer(std::move(tables));
}

Result<BpeTokenizer> BpeTokenizer::fromTokenizerJson(std::string_view text) {
    return fromModel(parseBpeTokenizerJson(text));
}

Result<BpeTokenizer> BpeTokenizer::fromVocabulary(std::string_view vocabJson, std::string_view mergesText,
                                                  std::string_view addedTokensJson,
                                                  std::string_view tokenizerConfigJson) {
    return fromModel(parseBpeVocabulary(vocabJson, mergesText, addedTokensJson, tokenizerConfigJson));
}

Result<BpeTokenizer> BpeTokenizer::open(const fs::path& file, const fs::path& mergesFile) {
    const auto text = readTextFile(file, kMaxFileBytes);
    if (!text)
        return text.error();
    const auto named = [&](Result<BpeTokenizer> tokenizer) -> Result<BpeTokenizer> {
        if (tokenizer)
            return tokenizer;
        return makeError(tokenizer.error().code, tokenizer.error().message + ": " + file.string());
    };
    if (mergesFile.empty())
        return named(fromTokenizerJson(*text));
    const auto merges = readTextFile(mergesFile, kMaxFileBytes);
    if (!merges)
        return merges.error();
    std::array<std::string, 2> extra;
    const std::array<const char*, 2> names = {"added_tokens.json", "tokenizer_config.json"};
    for (std::size_t i = 0; i < names.size(); ++i) {
        auto found = readTextFile(file.parent_path() / names[i], kMaxFileBytes);
        if (found)
            extra[i] = std::move(*found);
        else if (found.error().code != ErrorCode::NotFound)
            return found.error();
    }
    return named(fromVocabulary(*text, *merges, extra[0], extra[1]));
}

Result<std::vector<std::int32_t>> BpeTokenizer::encode(std::string_view text, SpecialTokens special) const {
    if (auto ok = checkText(text); !ok)
        return ok.error();
    const auto& trie = special == SpecialTokens::AsTokens ? m_tables->allAdded : m_tables->plainAdded;
    std::vector<std::int32_t> ids;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < text.size();) {
        std::size_t length = 0;
        std::int32_t id = -1;
        std::uint32_t node = trie.root();
        for (std::size_t at = i; at < text.size(); ++at) { // the longest added token that begins here
            node = trie.child(node, static_cast<unsigned char>(text[at]));
            if (node == PieceTrie::kNone)
                break;
            if (trie.id(node) >= 0) {
                id = trie.id(node);
                length = at + 1 - i;
            }
        }
        if (length == 0) {
            ++i;
            continue;
        }
        if (auto ok = m_tables->encodeText(text.substr(begin, i - begin), ids); !ok)
            return ok.error();
        ids.push_back(id);
        i += length;
        begin = i;
    }
    if (auto ok = m_tables->encodeText(text.substr(begin), ids); !ok)
        return ok.error();
    return ids;
}

std::string BpeTokenizer::decode(std::span<const std::int32_t> ids) const {
    return toText(m_tables->bytesOf(ids, false), false);
}

std::string BpeTokenizer::decodeAll(std::span<const std::int32_t> ids) const {
    return toText(m_tables->bytesOf(ids, true), false);
}

std::string BpeTokenizer::decodePrefix(std::span<const std::int32_t> ids) const {
    return toText(m_tables->bytesOf(ids, false), true);
}

int BpeTokenizer::size() const {
    return static_cast<int>(m_tables->model.tokens.size());
}

std::optional<std::int32_t> BpeTokenizer::addedToken(std::string_view text) const {
    for (const auto& token : m_tables->model.added)
        if (token.text == text)
            return token.id;
    return std::nullopt;
}

std::string_view BpeTokenizer::tokenBytes(std::int32_t id) const {
    const auto& tokens = m_tables->model.tokens;
    return id >= 0 && static_cast<std::size_t>(id) < tokens.size() ? tokens[static_cast<std::size_t>(id)]
                                                                   : std::string_view();
}

} // namespace canopy
