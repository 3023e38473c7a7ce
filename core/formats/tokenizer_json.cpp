// The tokenizer.json form of a unigram model (sentencepiece_model.h). The file describes a pipeline of steps;
// the forms that T5 family files have all mean what SentencePiece does, and every other form is refused.
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"
#include "core/formats/sentencepiece_model.h"

namespace canopy {

namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81"; // U+2581

Error damaged(std::string what) {
    return makeError(ErrorCode::Malformed,
                     "Damaged tokenizer: " + std::move(what) + ". Download the tokenizer again");
}

Error unknownForm(std::string_view step, const Value& found) {
    return makeError(ErrorCode::Unsupported, "This tokenizer.json has a " + std::string(step) +
                                                 " that is not known here (" +
                                                 quotedName(found["type"].asString()) +
                                                 "); use the spiece.model of the same tokenizer");
}

std::optional<std::vector<std::uint8_t>> decodeBase64(std::string_view text) {
    while (!text.empty() && text.back() == '=' && text.size() % 4 != 1)
        text.remove_suffix(1);
    std::vector<std::uint8_t> out;
    out.reserve(text.size() / 4 * 3 + 3);
    std::uint32_t group = 0;
    int bits = 0;
    for (const char c : text) {
        int digit = -1;
        if (c >= 'A' && c <= 'Z')
            digit = c - 'A';
        else if (c >= 'a' && c <= 'z')
            digit = c - 'a' + 26;
        else if (c >= '0' && c <= '9')
            digit = c - '0' + 52;
        else if (c == '+' || c == '/')
            digit = c == '+' ? 62 : 63;
        if (digit < 0)
            return std::nullopt;
        group = (group << 6 | static_cast<std::uint32_t>(digit)) & 0xFFFFFF;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out.push_back(static_cast<std::uint8_t>(group >> bits));
        }
    }
    if (bits >= 6 || (group & ((1u << bits) - 1)) != 0)
        return std::nullopt;
    return out;
}

/// A list of one step, or of the steps of a Sequence. Sequences inside sequences are not known.
std::vector<const Value*> stepsOf(const Value& step, std::string_view key) {
    std::vector<const Value*> out;
    if (step.isNull())
        return out;
    if (step["type"].asString() != "Sequence") {
        out.push_back(&step);
        return out;
    }
    for (const auto& inner : step[key].asArray())
        out.push_back(&inner);
    return out;
}

std::optional<Error> readNormalizer(const Value& normalizer, SentencePieceModel& model) {
    model.removeExtraWhitespace = false;
    for (const Value* step : stepsOf(normalizer, "normalizers")) {
        const auto& type = (*step)["type"].asString();
        if (type == "Precompiled") {
            const auto& rules = (*step)["precompiled_charsmap"];
            auto bytes = decodeBase64(rules.asString());
            if ((!rules.isString() && !rules.isNull()) || !bytes)
                return damaged("normalisation rules that are no base64");
            model.charsMap = std::move(*bytes);
        } else if (type == "Strip") {
            // Leading and trailing spaces go; the replacement below it does the rest.
        } else if (type == "Replace") {
            const auto& content = (*step)["content"].asString();
            const auto& pattern = (*step)["pattern"]["Regex"].asString();
            if (pattern != " {2,}" || (content != " " && content != kSpaceSymbol))
                return unknownForm("replacement", *step);
            model.removeExtraWhitespace = true;
        } else {
            return unknownForm("normalizer", *step);
        }
    }
    return std::nullopt;
}

std::optional<Error> readSplitter(const Value& splitter, SentencePieceModel& model) {
    bool metaspace = false;
    for (const Value* step : stepsOf(splitter, "pretokenizers")) {
        const auto& type = (*step)["type"].asString();
        if (type == "WhitespaceSplit") {
            model.removeExtraWhitespace = true;
        } else if (type == "Metaspace") {
            if ((*step)["replacement"].asString() != kSpaceSymbol)
                return unknownForm("space symbol", *step);
            const auto& scheme = (*step)["prepend_scheme"];
            if (scheme.isString()) {
                if (scheme.asString() != "always" && scheme.asString() != "first" &&
                    scheme.asString() != "never")
                    return unknownForm("prepend scheme", *step);
                model.dummyPrefix = scheme.asString() != "never";
            } else {
                model.dummyPrefix = (*step)["add_prefix_space"].asBool(true);
            }
            metaspace = true;
        } else {
            return unknownForm("splitter", *step);
        }
    }
    if (!metaspace)
        return unknownForm("splitter", splitter);
    return std::nullopt;
}

std::optional<Error> readVocabulary(const Value& vocabulary, SentencePieceModel& model) {
    if (!vocabulary.isArray() || vocabulary.asArray().empty())
        return damaged("no vocabulary");
    model.pieces.reserve(vocabulary.asArray().size());
    for (const auto& entry : vocabulary.asArray()) {
        const auto& pair = entry.asArray();
        const std::string number = std::to_string(model.pieces.size());
        if (pair.size() != 2 || !pair[0].isString() || !pair[1].isNumber())
            return damaged("piece " + number + " is not a pair of text and score");
        const double score = pair[1].asDouble();
        if (!(std::abs(score) <= static_cast<double>(std::numeric_limits<float>::max())))
            return damaged("the score of piece " + number + " is no finite number");
        Piece piece;
        piece.text = pair[0].asString();
        piece.score = static_cast<float>(score);
        model.pieces.push_back(std::move(piece));
    }
    return std::nullopt;
}

/// Special tokens never match inside a text, the other added ones always do.
std::optional<Error> readAddedTokens(const Value& added, SentencePieceModel& model) {
    for (const auto& token : added.asArray()) {
        const auto& id = token["id"];
        if (!id.isInt() || id.asInt() < 0 || !token["content"].isString())
            return damaged("an added token without id or text");
        // T5 files add sentinels behind the vocabulary; those are outside of the text encoder's table as
        // well.
        if (static_cast<std::uint64_t>(id.asInt()) >= model.pieces.size())
            continue;
        auto& piece = model.pieces[static_cast<std::size_t>(id.asInt())];
        if (piece.text != token["content"].asString())
            return damaged("added token " + std::to_string(id.asInt()) + " differs from the vocabulary");
        piece.type = token["special"].asBool() ? PieceType::Control : PieceType::UserDefined;
    }
    return std::nullopt;
}

} // namespace

Result<SentencePieceModel> parseTokenizerJson(std::string_view text) {
    CodecLimits limits;
    limits.maxBytes = std::size_t{64} << 20;
    limits.maxValues = std::size_t{4} << 20;
    limits.maxStringBytes = std::size_t{8} << 20;
    const auto root = parseJson(text, limits);
    if (!root)
        return damaged(root.error().message);
    const auto& unigram = (*root)["model"];
    // Older files leave the type out; only a unigram model has an unk_id and a list as vocabulary.
    if (unigram.contains("type") ? unigram["type"].asString() != "Unigram" : !unigram["vocab"].isArray())
        return makeError(ErrorCode::Unsupported,
                         "This tokenizer.json is no Unigram model (" +
                             quotedName(unigram["type"].asString()) +
                             "); expected the tokenizer that belongs to the text encoder");
    SentencePieceModel model;
    model.byteFallback = unigram["byte_fallback"].asBool(false);
    if (auto error = readVocabulary(unigram["vocab"], model))
        return *error;
    if (auto error = readAddedTokens((*root)["added_tokens"], model))
        return *error;
    if (auto error = readNormalizer((*root)["normalizer"], model))
        return *error;
    if (auto error = readSplitter((*root)["pre_tokenizer"], model))
        return *error;
    const auto unknown = unigram["unk_id"].asInt(-1);
    if (unknown < 0 || static_cast<std::uint64_t>(unknown) >= model.pieces.size())
        return damaged("no piece for unknown text");
    model.unknownId = static_cast<std::int32_t>(unknown);
    model.pieces[static_cast<std::size_t>(unknown)].type = PieceType::Unknown;
    if (model.byteFallback) {
        for (auto& piece : model.pieces)
            if (bytePieceValue(piece.text) >= 0)
                piece.type = PieceType::Byte;
    }
    if (auto checked = checkSentencePieceModel(model); !checked)
        return checked.error();
    return model;
}

} // namespace canopy
