#include "core/formats/sentencepiece_model.h"

#include <bit>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "core/formats/safetensors.h"
#include "core/formats/utf8.h"

namespace canopy {

namespace {

constexpr std::size_t kMaxModelBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxPieces = std::size_t{1} << 20;
constexpr std::size_t kMaxPieceBytes = 512;

Error damaged(std::string what) {
    return makeError(ErrorCode::Malformed,
                     "Damaged tokenizer: " + std::move(what) + ". Download the tokenizer again");
}

using ByteSpan = std::span<const std::uint8_t>;

/// One field of a protobuf message.
struct Field {
    std::uint32_t number = 0;
    std::uint64_t scalar = 0; ///< varint, fixed32 or fixed64
    ByteSpan bytes;           ///< length-delimited
    enum class Kind { Varint, Fixed64, Bytes, Fixed32 } kind = Kind::Varint;
};

/// Walks the fields of one message. Groups, which no such file has, and everything cut short end it with an
/// error.
class Wire {
public:
    explicit Wire(ByteSpan bytes)
        : m_bytes(bytes) {}

    bool next(Field& field) {
        if (m_failed || m_at == m_bytes.size())
            return false;
        std::uint64_t tag = 0;
        if (!varint(tag) || tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF)
            return fail();
        field = {};
        field.number = static_cast<std::uint32_t>(tag >> 3);
        switch (tag & 7) {
        case 0:
            field.kind = Field::Kind::Varint;
            return varint(field.scalar) || fail();
        case 1:
            field.kind = Field::Kind::Fixed64;
            return fixed(8, field.scalar) || fail();
        case 5:
            field.kind = Field::Kind::Fixed32;
            return fixed(4, field.scalar) || fail();
        case 2: {
            std::uint64_t length = 0;
            if (!varint(length) || length > m_bytes.size() - m_at)
                return fail();
            field.kind = Field::Kind::Bytes;
            field.bytes = m_bytes.subspan(m_at, length);
            m_at += length;
            return true;
        }
        default:
            return fail();
        }
    }
    bool failed() const { return m_failed; }

private:
    bool fail() {
        m_failed = true;
        return false;
    }
    bool varint(std::uint64_t& out) {
        out = 0;
        for (int shift = 0; shift < 64 && m_at < m_bytes.size(); shift += 7) {
            const std::uint8_t byte = m_bytes[m_at++];
            out |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
            if (!(byte & 0x80))
                return true;
        }
        return false;
    }
    bool fixed(std::size_t size, std::uint64_t& out) {
        if (m_bytes.size() - m_at < size)
            return false;
        out = 0;
        for (std::size_t i = size; i-- > 0;)
            out = out << 8 | m_bytes[m_at + i];
        m_at += size;
        return true;
    }

    ByteSpan m_bytes;
    std::size_t m_at = 0;
    bool m_failed = false;
};

std::optional<Error> readPiece(ByteSpan bytes, Piece& piece) {
    Wire wire(bytes);
    Field field;
    while (wire.next(field)) {
        if (field.number == 1 && field.kind == Field::Kind::Bytes) {
            if (field.bytes.size() > kMaxPieceBytes)
                return damaged("a piece of " + std::to_string(field.bytes.size()) +
                               " bytes; at most 512 are read");
            piece.text.assign(field.bytes.begin(), field.bytes.end());
        } else if (field.number == 2 && field.kind == Field::Kind::Fixed32) {
            piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field.scalar));
        } else if (field.number == 3 && field.kind == Field::Kind::Varint) {
            if (field.scalar < 1 || field.scalar > 6)
                return damaged("a piece of the unknown type " + std::to_string(field.scalar));
            piece.type = static_cast<PieceType>(field.scalar);
        } else if (field.number <= 3) {
            return damaged("a piece whose fields have the wrong type");
        }
    }
    if (wire.failed())
        return damaged("a piece that ends too early");
    return std::nullopt;
}

std::optional<Error> readTrainerSpec(ByteSpan bytes, SentencePieceModel& model) {
    Wire wire(bytes);
    Field field;
    while (wire.next(field)) {
        if (field.kind != Field::Kind::Varint)
            continue;
        if (field.number == 3 && field.scalar != 1)
            return makeError(ErrorCode::Unsupported,
                             "This tokenizer is no unigram model (type " + std::to_string(field.scalar) +
                                 "); expected the unigram tokenizer that belongs to the text encoder");
        if (field.number == 24)
            model.whitespaceAsSuffix = field.scalar != 0;
        if (field.number == 35)
            model.byteFallback = field.scalar != 0;
    }
    if (wire.failed())
        return damaged("a trainer section that ends too early");
    return std::nullopt;
}

std::optional<Error> readNormalizerSpec(ByteSpan bytes, SentencePieceModel& model) {
    Wire wire(bytes);
    Field field;
    while (wire.next(field)) {
        if (field.number == 2 && field.kind == Field::Kind::Bytes)
            model.charsMap.assign(field.bytes.begin(), field.bytes.end());
        else if (field.number == 3 && field.kind == Field::Kind::Varint)
            model.dummyPrefix = field.scalar != 0;
        else if (field.number == 4 && field.kind == Field::Kind::Varint)
            model.removeExtraWhitespace = field.scalar != 0;
        else if (field.number == 5 && field.kind == Field::Kind::Varint)
            model.escapeWhitespace = field.scalar != 0;
        else if (field.number >= 2 && field.number <= 5)
            return damaged("a normalizer section whose fields have the wrong type");
    }
    if (wire.failed())
        return damaged("a normalizer section that ends too early");
    return std::nullopt;
}

} // namespace

int bytePieceValue(std::string_view piece) {
    if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>')
        return -1;
    int value = 0;
    for (const char c : piece.substr(3, 2)) {
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (c >= 'A' && c <= 'F')
            value = value * 16 + (c - 'A' + 10);
        else
            return -1;
    }
    return value;
}

Result<SentencePieceModel> parseSentencePieceModel(ByteSpan bytes) {
    if (bytes.size() > kMaxModelBytes)
        return damaged("a file of " + std::to_string(bytes.size()) + " bytes; at most 64 MiB are read");
    SentencePieceModel model;
    Wire wire(bytes);
    Field field;
    while (wire.next(field)) {
        std::optional<Error> error;
        if (field.number >= 1 && field.number <= 3 && field.kind != Field::Kind::Bytes)
            return damaged("this is not a SentencePiece model");
        if (field.number == 1) {
            if (model.pieces.size() >= kMaxPieces)
                return damaged("more than 1048576 pieces");
            error = readPiece(field.bytes, model.pieces.emplace_back());
        } else if (field.number == 2) {
            error = readTrainerSpec(field.bytes, model);
        } else if (field.number == 3) {
            error = readNormalizerSpec(field.bytes, model);
        }
        if (error)
            return *error;
    }
    if (wire.failed())
        return damaged("this is not a SentencePiece model, or it ends too early");
    for (std::size_t id = 0; id < model.pieces.size(); ++id) {
        if (model.pieces[id].type != PieceType::Unknown)
            continue;
        if (model.unknownId >= 0)
            return damaged("two pieces for unknown text");
        model.unknownId = static_cast<std::int32_t>(id);
    }
    if (auto checked = checkSentencePieceModel(model); !checked)
        return checked.error();
    return model;
}

Result<void> checkSentencePieceModel(const SentencePieceModel& model) {
    if (model.pieces.empty())
        return damaged("no pieces");
    if (model.pieces.size() > kMaxPieces)
        return damaged("more than 1048576 pieces");
    if (model.unknownId < 0 || static_cast<std::size_t>(model.unknownId) >= model.pieces.size())
        return damaged("no piece for unknown text");
    std::unordered_set<std::string_view> seen;
    seen.reserve(model.pieces.size());
    bool byteSeen[256] = {};
    int bytesSeen = 0;
    for (std::size_t id = 0; id < model.pieces.size(); ++id) {
        const auto& piece = model.pieces[id];
        const std::string number = std::to_string(id);
        if (piece.text.empty())
            return damaged("piece " + number + " is empty");
        if (piece.text.size() > kMaxPieceBytes)
            return damaged("a piece of " + std::to_string(piece.text.size()) +
                           " bytes; at most 512 are read");
        if (piece.text.find('\0') != std::string::npos)
            return damaged("a NUL character in piece " + number);
        if (!isValidUtf8(piece.text))
            return damaged("piece " + number + " is no UTF-8");
        if (!std::isfinite(piece.score))
            return damaged("the score of piece " + number + " is no finite number");
        if (!seen.insert(piece.text).second)
            return damaged("piece " + quotedName(piece.text) + " twice");
        if (piece.type == PieceType::Byte) {
            const int value = bytePieceValue(piece.text);
            if (value < 0)
                return damaged("the byte piece " + quotedName(piece.text) + " is not of the form <0x41>");
            if (!byteSeen[value]) {
                byteSeen[value] = true;
                ++bytesSeen;
            }
        }
    }
    if (model.byteFallback && bytesSeen != 256)
        return damaged("byte fallback with " + std::to_string(bytesSeen) + " of 256 byte pieces");
    return {};
}

} // namespace canopy
