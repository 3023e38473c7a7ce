#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace canopy {

enum class PieceType { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };

struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::Normal;
};

/// What a unigram tokenizer needs of its file, checked: 1 to 1,048,576 distinct pieces of 1 to 512 bytes of
/// UTF-8 without NUL, finite scores, one unknown piece, all 256 byte pieces when bytes stand in for unknown
/// characters.
struct SentencePieceModel {
    std::vector<Piece> pieces;
    std::int32_t unknownId = -1;
    bool byteFallback = false;
    bool dummyPrefix = true;            ///< a space is put before the text
    bool removeExtraWhitespace = true;  ///< leading, trailing and repeated spaces go
    bool escapeWhitespace = true;       ///< spaces become U+2581
    bool whitespaceAsSuffix = false;    ///< the dummy space goes behind the text
    std::vector<std::uint8_t> charsMap; ///< compiled normalisation rules; empty = none
};

/// `spiece.model`: a protobuf message, read by our own bounded reader.
Result<SentencePieceModel> parseSentencePieceModel(std::span<const std::uint8_t> bytes);
/// `tokenizer.json` of a T5 family model: Unigram, with the normaliser and splitter forms those files have.
Result<SentencePieceModel> parseTokenizerJson(std::string_view text);

/// The rules in the comment of SentencePieceModel.
Result<void> checkSentencePieceModel(const SentencePieceModel& model);
/// The value of "<0x41>" with exactly two upper-case hexadecimal digits; -1 for anything else.
int bytePieceValue(std::string_view piece);

} // namespace canopy
