#include "core/formats/bpe_model.h"

#include <array>
#include <charconv>
#include <optional>
#include <unordered_map>

#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"
#include "core/formats/utf8.h"

namespace canopy {

namespace {

constexpr std::int64_t kMaxTokens = std::int64_t{1} << 20;
constexpr std::size_t kMaxAdded = 4096;
constexpr std::size_t kMaxTokenBytes = 1024;

constexpr std::string_view kQwenPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Error damaged(std::string what) {
    return makeError(ErrorCode::Malformed,
                     "Damaged tokenizer: " + std::move(what) + ". Download the tokenizer again");
}

Error unknownForm(std::string_view step, std::string_view found) {
    return makeError(ErrorCode::Unsupported, "This tokenizer has a " + std::string(step) +
                                                 " that is not known here (" + quotedName(found) +
                                                 "); expected the tokenizer of a Qwen2 model");
}

CodecLimits fileLimits() {
    CodecLimits limits;
    limits.maxBytes = std::size_t{64} << 20;
    limits.maxValues = std::size_t{4} << 20;
    return limits;
}

/// The character that stands for each byte in the files: printable Latin-1 for itself, the others from U+0100
/// on in order.
std::array<char32_t, 256> byteSymbols() {
    std::array<char32_t, 256> out{};
    char32_t next = 0x100;
    for (char32_t b = 0; b < 256; ++b) {
        const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
        out[b] = printable ? b : next++;
    }
    return out;
}

/// Text of the files to the bytes it stands for; nothing when a character stands for none.
class SymbolReader {
public:
    SymbolReader() {
        m_bytes.fill(-1);
        const auto symbols = byteSymbols();
        for (std::size_t b = 0; b < symbols.size(); ++b)
            m_bytes[symbols[b]] = static_cast<std::int16_t>(b);
    }
    std::optional<std::string> bytes(std::string_view text) const {
        std::string out;
        for (std::size_t i = 0; i < text.size();) {
            const auto c = decodeUtf8(text, i);
            if (c.length == 0 || c.value >= m_bytes.size() || m_bytes[c.value] < 0)
                return std::nullopt;
            out += static_cast<char>(static_cast<unsigned char>(m_bytes[c.value]));
            i += c.length;
        }
        return out;
    }

private:
    std::array<std::int16_t, 0x144> m_bytes{};
};

/// Collects tokens and merges and checks them as they come.
class Builder {
public:
    std::optional<Error> vocabulary(const Value& map) {
        if (!map.isMap() || map.asMap().empty())
            return damaged("no vocabulary");
        if (map.asMap().size() > static_cast<std::size_t>(kMaxTokens))
            return damaged("more than " + std::to_string(kMaxTokens) + " tokens");
        m_ids.reserve(map.asMap().size());
        for (const auto& [text, id] : map.asMap()) {
            auto bytes = m_symbols.bytes(text);
            if (!bytes || bytes->empty() || bytes->size() > kMaxTokenBytes)
                return damaged("the token " + quotedName(text) + " is no sequence of 1 to " +
                               std::to_string(kMaxTokenBytes) + " bytes");
            if (auto error = place(std::move(*bytes), id, text))
                return error;
        }
        for (int b = 0; b < 256; ++b)
            if (!m_ids.contains(std::string(1, static_cast<char>(static_cast<unsigned char>(b)))))
                return damaged("byte " + std::to_string(b) + " has no token");
        return std::nullopt;
    }

    std::optional<Error> merge(std::string_view left, std::string_view right) {
        const std::string number = std::to_string(m_model.merges.size());
        if (m_model.merges.size() >= static_cast<std::size_t>(kMaxTokens))
            return damaged("more than " + std::to_string(kMaxTokens) + " merges");
        const auto a = m_symbols.bytes(left), b = m_symbols.bytes(right);
        if (!a || !b)
            return damaged("merge " + number + " is no pair of tokens");
        const auto first = m_ids.find(*a), second = m_ids.find(*b), whole = m_ids.find(*a + *b);
        if (first == m_ids.end() || second == m_ids.end() || whole == m_ids.end())
            return damaged("merge " + number + " (" + quotedName(left) + ", " + quotedName(right) +
                           ") names a token that is not in the vocabulary");
        m_model.merges.push_back({first->second, second->second, whole->second});
        return std::nullopt;
    }

    /// A token that two files name is taken once; the later one decides whether it is special.
    std::optional<Error> added(std::string_view text, const Value& id, bool special) {
        if (text.empty() || text.size() > kMaxTokenBytes || !id.isInt() || id.asInt() < 0 ||
            id.asInt() >= kMaxTokens)
            return damaged("the added token " + quotedName(text) + " has no usable text or id");
        const auto number = static_cast<std::int32_t>(id.asInt());
        for (auto& known : m_model.added) {
            if (known.text != text)
                continue;
            known.special = special;
            return known.id == number
                       ? std::nullopt
                       : std::optional(damaged("the added token " + quotedName(text) + " has two ids"));
        }
        if (m_model.added.size() >= kMaxAdded)
            return damaged("more than " + std::to_string(kMaxAdded) + " added tokens");
        const auto index = static_cast<std::size_t>(number);
        const bool taken = index < m_model.tokens.size() && !m_model.tokens[index].empty();
        if (taken && m_model.tokens[index] != text)
            return damaged("the added token " + quotedName(text) + " has the id of another token (" +
                           std::to_string(number) + ")");
        if (index >= m_model.tokens.size())
            m_model.tokens.resize(index + 1);
        m_model.tokens[index] = text;
        m_model.added.push_back({std::string(text), number, special});
        return std::nullopt;
    }

    BpeModel& model() { return m_model; }

private:
    std::optional<Error> place(std::string bytes, const Value& id, std::string_view text) {
        if (!id.isInt() || id.asInt() < 0 || id.asInt() >= kMaxTokens)
            return damaged("the token " + quotedName(text) + " has no id below " +
                           std::to_string(kMaxTokens));
        const auto number = static_cast<std::size_t>(id.asInt());
        if (number >= m_model.tokens.size())
            m_model.tokens.resize(number + 1);
        if (!m_model.tokens[number].empty())
            return damaged("two tokens have the id " + std::to_string(number));
        m_ids.emplace(bytes, static_cast<std::int32_t>(number));
        m_model.tokens[number] = std::move(bytes);
        return std::nullopt;
    }

    SymbolReader m_symbols;
    std::unordered_map<std::string, std::int32_t> m_ids;
    BpeModel m_model;
};

std::optional<Error> readAddedTokens(const Value& list, Builder& builder) {
    for (const auto& token : list.asArray()) {
        if (token["lstrip"].asBool() || token["rstrip"].asBool() || token["single_word"].asBool())
            return unknownForm("added token that swallows its surroundings", token["content"].asString());
        if (auto error = builder.added(token["content"].asString(), token["id"], token["special"].asBool()))
            return error;
    }
    return std::nullopt;
}

std::optional<Error> readSteps(const Value& root, BpeModel& model) {
    const auto& normalizer = root["normalizer"];
    if (!normalizer.isNull() && normalizer["type"].asString() != "NFC")
        return unknownForm("normalizer", normalizer["type"].asString());
    model.nfc = !normalizer.isNull();
    const auto& splitter = root["pre_tokenizer"];
    const auto& steps = splitter["pretokenizers"].asArray();
    if (splitter["type"].asString() != "Sequence" || steps.size() != 2)
        return unknownForm("splitter", splitter["type"].asString());
    const auto& split = steps[0];
    if (split["type"].asString() != "Split" || split["behavior"].asString() != "Isolated" ||
        split["invert"].asBool() || split["pattern"]["Regex"].asString() != kQwenPattern)
        return unknownForm("split pattern", split["pattern"]["Regex"].asString());
    const auto& bytes = steps[1];
    if (bytes["type"].asString() != "ByteLevel" || bytes["add_prefix_space"].asBool() ||
        bytes["use_regex"].asBool(true))
        return unknownForm("second splitting step", bytes["type"].asString());
    const auto& post = root["post_processor"];
    if (!post.isNull() && post["type"].asString() != "ByteLevel")
        return unknownForm("step that adds tokens", post["type"].asString());
    const auto& decoder = root["decoder"]["type"].asString();
    if (decoder != "ByteLevel")
        return unknownForm("decoder", decoder);
    return std::nullopt;
}

std::optional<Error> readBpe(const Value& bpe, Builder& builder) {
    // Files from before 2020 leave the type out; only BPE has merges.
    if (bpe.contains("type") ? bpe["type"].asString() != "BPE" : !bpe["merges"].isArray())
        return unknownForm("model kind", bpe["type"].asString());
    for (const char* option : {"continuing_subword_prefix", "end_of_word_suffix", "unk_token"})
        if (!bpe[option].asString().empty())
            return unknownForm("setting " + std::string(option), bpe[option].asString());
    for (const char* option : {"byte_fallback", "ignore_merges"})
        if (bpe[option].asBool())
            return unknownForm("setting", option);
    if (bpe["dropout"].asDouble() != 0)
        return unknownForm("setting", "dropout");
    if (auto error = builder.vocabulary(bpe["vocab"]))
        return error;
    if (!bpe["merges"].isArray())
        return damaged("no merges");
    for (const auto& merge : bpe["merges"].asArray()) {
        std::string_view left, right;
        if (merge.isString()) {
            const std::string_view text = merge.asString();
            const auto space = text.find(' ');
            left = text.substr(0, space);
            right = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
        } else if (merge.asArray().size() == 2) {
            left = merge.asArray()[0].asString();
            right = merge.asArray()[1].asString();
        }
        if (left.empty() || right.empty())
            return damaged("a merge that is no pair of tokens");
        if (auto error = builder.merge(left, right))
            return error;
    }
    return std::nullopt;
}

Result<Value> parse(std::string_view text, std::string_view file) {
    auto json = parseJson(text, fileLimits());
    if (!json)
        return damaged(std::string(file) + " cannot be read. " + json.error().message);
    return json;
}

std::optional<Error> readMergeLines(std::string_view text, Builder& builder) {
    for (bool first = true; !text.empty(); first = false) {
        const auto end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (line.empty() || (first && line.starts_with("#version")))
            continue;
        const auto space = line.find(' ');
        if (space == std::string_view::npos || space == 0 || space + 1 == line.size())
            return damaged("merges.txt has the line " + quotedName(line) + ", which is no pair of tokens");
        if (auto error = builder.merge(line.substr(0, space), line.substr(space + 1)))
            return error;
    }
    return std::nullopt;
}

/// {"151643": {"content": "<|endoftext|>", "special": true, ...}}
std::optional<Error> readAddedTokensDecoder(const Value& map, Builder& builder) {
    for (const auto& [key, token] : map.asMap()) {
        std::int64_t id = -1;
        const auto [end, failed] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (failed != std::errc() || end != key.data() + key.size())
            return damaged("the added token " + quotedName(key) + " has no number as id");
        if (token["lstrip"].asBool() || token["rstrip"].asBool() || token["single_word"].asBool())
            return unknownForm("added token that swallows its surroundings", token["content"].asString());
        if (auto error = builder.added(token["content"].asString(), Value(id), token["special"].asBool()))
            return error;
    }
    return std::nullopt;
}

} // namespace

Result<BpeModel> parseBpeTokenizerJson(std::string_view text) {
    const auto root = parse(text, "tokenizer.json");
    if (!root)
        return root.error();
    Builder builder;
    if (auto error = readBpe((*root)["model"], builder))
        return *error;
    if (auto error = readSteps(*root, builder.model()))
        return *error;
    if (auto error = readAddedTokens((*root)["added_tokens"], builder))
        return *error;
    return std::move(builder.model());
}

Result<BpeModel> parseBpeVocabulary(std::string_view vocabulary, std::string_view merges,
                                    std::string_view addedTokens, std::string_view tokenizerConfig) {
    const auto map = parse(vocabulary, "vocab.json");
    if (!map)
        return map.error();
    Builder builder;
    if (auto error = builder.vocabulary(*map))
        return *error;
    if (auto error = readMergeLines(merges, builder))
        return *error;
    if (!addedTokens.empty()) {
        const auto added = parse(addedTokens, "added_tokens.json");
        if (!added)
            return added.error();
        for (const auto& [text, id] : added->asMap())
            if (auto error = builder.added(text, id, true))
                return *error;
    }
    if (!tokenizerConfig.empty()) {
        const auto config = parse(tokenizerConfig, "tokenizer_config.json");
        if (!config)
            return config.error();
        const auto& kind = (*config)["tokenizer_class"].asString();
        if (!kind.empty() && kind != "Qwen2Tokenizer" && kind != "Qwen2TokenizerFast")
            return unknownForm("class", kind);
        if (auto error = readAddedTokensDecoder((*config)["added_tokens_decoder"], builder))
            return *error;
    }
    return std::move(builder.model());
}

} // namespace canopy
