#include "core/formats/unigram.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/base/file_error.h"
#include "core/base/files.h"
#include "core/formats/charsmap.h"
#include "core/formats/piece_trie.h"
#include "core/formats/prompt_clean.h"
#include "core/formats/safetensors.h"
#include "core/formats/sentencepiece_model.h"
#include "core/formats/utf8.h"

namespace canopy {

namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81"; // U+2581
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{64} << 20;
/// Compatibility forms grow a text at most fifteenfold; rules that grow it beyond this are hostile.
constexpr std::size_t kMaxNormalizedBytes = std::size_t{1} << 20;
constexpr float kUnknownPenalty = 10.0f;

} // namespace

struct UnigramTokenizer::Model {
    SentencePieceModel file;
    CharsMap charsMap;
    PieceTrie pieces;      ///< normal and user-defined pieces
    PieceTrie userDefined; ///< kept as they are by normalisation
    std::array<std::int32_t, 256> byteIds;
    float unknownScore = 0;
    float maxScore = 0;

    struct Prefix {
        std::string_view text;
        std::size_t length = 0; ///< bytes of input
    };
    Prefix normalizePrefix(std::string_view input) const;
    bool normalize(std::string_view input, std::string& out) const;
    std::vector<std::int32_t> segment(std::string_view text) const;
};

UnigramTokenizer::UnigramTokenizer(std::shared_ptr<const Model> model)
    : m_model(std::move(model)) {}

namespace {

using Entries = std::vector<std::pair<std::string_view, std::int32_t>>;

/// Whichever text the user-defined pieces of a model say is one symbol, longest first.
std::size_t longestMatch(const PieceTrie& trie, std::string_view text) {
    std::size_t best = 0;
    std::uint32_t node = trie.root();
    for (std::size_t i = 0; i < text.size(); ++i) {
        node = trie.child(node, static_cast<unsigned char>(text[i]));
        if (node == PieceTrie::kNone)
            break;
        if (trie.id(node) >= 0)
            best = i + 1;
    }
    return best;
}

} // namespace

UnigramTokenizer::Model::Prefix UnigramTokenizer::Model::normalizePrefix(std::string_view input) const {
    if (!userDefined.empty()) {
        if (const std::size_t length = longestMatch(userDefined, input))
            return {input.substr(0, length), length};
    }
    if (const auto match = charsMap.longestPrefix(input); match.length != 0)
        return {match.replacement, match.length};
    // Rules may end inside of a character; what is left of it is replaced, as the public implementation does.
    if (const std::size_t length = decodeUtf8(input, 0).length; length != 0)
        return {input.substr(0, length), length};
    return {"\xEF\xBF\xBD", 1};
}

/// SentencePiece's normalisation. False when the text grows beyond the bound.
bool UnigramTokenizer::Model::normalize(std::string_view input, std::string& out) const {
    out.clear();
    if (file.removeExtraWhitespace) {
        while (!input.empty()) {
            const auto prefix = normalizePrefix(input);
            if (prefix.text != " ")
                break;
            input.remove_prefix(prefix.length);
        }
    }
    if (input.empty())
        return true;
    const std::string_view space = file.escapeWhitespace ? kSpaceSymbol : " ";
    if (file.dummyPrefix && !file.whitespaceAsSuffix)
        out += space;
    bool afterSpace = file.removeExtraWhitespace;
    while (!input.empty()) {
        auto [text, length] = normalizePrefix(input);
        if (text.size() > kMaxNormalizedBytes)
            return false;
        while (afterSpace && text.starts_with(' '))
            text.remove_prefix(1);
        if (!text.empty()) {
            for (const char c : text) {
                if (c == ' ')
                    out += space;
                else
                    out += c;
            }
            if (out.size() > kMaxNormalizedBytes)
                return false;
            afterSpace = file.removeExtraWhitespace && text.ends_with(' ');
        }
        input.remove_prefix(length);
    }
    if (file.removeExtraWhitespace) {
        while (std::string_view(out).ends_with(space))
            out.resize(out.size() - space.size());
    }
    if (file.dummyPrefix && file.whitespaceAsSuffix)
        out += space;
    return true;
}

/// The best sum of scores, one pass over the text: `best[i]` is the best way to split the first i bytes.
/// Scores are kept as float and compared as double, as the public implementation does; ties go to the earlier
/// start.
std::vector<std::int32_t> UnigramTokenizer::Model::segment(std::string_view text) const {
    struct Best {
        float score = 0;
        std::int32_t start = -1;
        std::int32_t id = -1;
    };
    std::vector<Best> best(text.size() + 1);
    for (std::size_t start = 0; start < text.size();) {
        const double scoreHere = best[start].score;
        const std::size_t oneChar = std::max<std::size_t>(decodeUtf8(text, start).length, 1);
        bool oneCharPiece = false;
        std::uint32_t node = pieces.root();
        for (std::size_t end = start + 1; end <= text.size(); ++end) {
            node = pieces.child(node, static_cast<unsigned char>(text[end - 1]));
            if (node == PieceTrie::kNone)
                break;
            const std::int32_t id = pieces.id(node);
            if (id < 0)
                continue;
            const auto& piece = file.pieces[static_cast<std::size_t>(id)];
            const auto length = end - start;
            // User-defined pieces win against any sum of ordinary ones.
            const double score = piece.type == PieceType::UserDefined
                                     ? static_cast<double>(static_cast<float>(length) * maxScore) - 0.1
                                     : static_cast<double>(piece.score);
            if (best[end].start < 0 || score + scoreHere > static_cast<double>(best[end].score))
                best[end] = {static_cast<float>(score + scoreHere), static_cast<std::int32_t>(start), id};
            oneCharPiece = oneCharPiece || length == oneChar;
        }
        if (!oneCharPiece) {
            const float score = unknownScore + best[start].score;
            auto& target = best[start + oneChar];
            if (target.start < 0 || score > target.score)
                target = {score, static_cast<std::int32_t>(start), file.unknownId};
        }
        start += oneChar;
    }

    std::vector<std::int32_t> ids; // from the end
    bool unknownBefore = false;
    for (std::size_t end = text.size(); end > 0;) {
        const auto& last = best[end];
        const auto start = static_cast<std::size_t>(last.start);
        const bool unknown = last.id == file.unknownId;
        if (unknown && file.byteFallback) {
            for (std::size_t i = end; i-- > start;)
                ids.push_back(byteIds[static_cast<unsigned char>(text[i])]);
        } else if (!unknown || !unknownBefore) {
            ids.push_back(last.id); // a run of unknown characters is one id
        }
        unknownBefore = unknown;
        end = start;
    }
    std::reverse(ids.begin(), ids.end());
    return ids;
}

Result<UnigramTokenizer> UnigramTokenizer::open(const std::filesystem::path& path) {
    if (path.extension() == ".safetensors")
        return fromTensor(path);
    const auto bytes = readFile(path, kMaxFileBytes);
    if (!bytes)
        return bytes.error();
    // A protobuf message of this kind begins with a field tag, never with a brace or white space.
    const auto first = std::find_if_not(bytes->begin(), bytes->end(), [](std::uint8_t c) {
        return c == ' ' || c == '\n' || c == '\r' || c == '\t';
    });
    auto out = first != bytes->end() && *first == '{'
                   ? fromTokenizerJson({reinterpret_cast<const char*>(bytes->data()), bytes->size()})
                   : fromSentencePiece(*bytes);
    if (!out)
        return inFile(path, out.error());
    return out;
}

/// ComfyUI's text encoders carry their spiece.model as a tensor of bytes.
Result<UnigramTokenizer> UnigramTokenizer::fromTensor(const std::filesystem::path& path) {
    const auto file = SafetensorsFile::open(path);
    if (!file)
        return file.error();
    for (const auto& tensor : file->header().tensors) {
        if (tensor.name != "spiece_model" || tensor.bytes() > kMaxFileBytes)
            continue;
        std::vector<std::uint8_t> bytes(tensor.bytes());
        if (auto read = file->read(tensor, bytes); !read)
            return read.error();
        auto out = fromSentencePiece(bytes);
        if (!out)
            return inFile(path, out.error());
        return out;
    }
    return makeError(ErrorCode::NotFound,
                     "This file holds no tokenizer; expected a tensor spiece_model, a spiece.model "
                     "or a tokenizer.json: " +
                         path.string());
}

Result<UnigramTokenizer> UnigramTokenizer::fromSentencePiece(std::span<const std::uint8_t> bytes) {
    auto file = parseSentencePieceModel(bytes);
    if (!file)
        return file.error();
    return fromModel(std::move(*file));
}

Result<UnigramTokenizer> UnigramTokenizer::fromTokenizerJson(std::string_view text) {
    auto file = parseTokenizerJson(text);
    if (!file)
        return file.error();
    return fromModel(std::move(*file));
}

Result<UnigramTokenizer> UnigramTokenizer::fromModel(SentencePieceModel file) {
    auto charsMap = CharsMap::parse(file.charsMap);
    if (!charsMap)
        return charsMap.error();
    auto model = std::make_shared<Model>();
    model->charsMap = std::move(*charsMap);
    model->file = std::move(file);
    model->file.charsMap.clear();
    model->byteIds.fill(model->file.unknownId);
    Entries entries, userDefined;
    float minScore = std::numeric_limits<float>::max();
    model->maxScore =
        std::numeric_limits<float>::min(); // the public implementation starts there, not below zero
    for (std::size_t i = 0; i < model->file.pieces.size(); ++i) {
        const auto& piece = model->file.pieces[i];
        const auto id = static_cast<std::int32_t>(i);
        if (piece.type == PieceType::Normal) {
            minScore = std::min(minScore, piece.score);
            model->maxScore = std::max(model->maxScore, piece.score);
        }
        if (piece.type == PieceType::Normal || piece.type == PieceType::UserDefined)
            entries.emplace_back(piece.text, id);
        if (piece.type == PieceType::UserDefined)
            userDefined.emplace_back(piece.text, id);
        if (piece.type == PieceType::Byte)
            model->byteIds[static_cast<std::size_t>(bytePieceValue(piece.text))] = id;
    }
    model->unknownScore = minScore - kUnknownPenalty;
    model->pieces = PieceTrie(std::move(entries));
    model->userDefined = PieceTrie(std::move(userDefined));
    return UnigramTokenizer(std::move(model));
}

Result<std::string> UnigramTokenizer::normalize(std::string_view text) const {
    if (auto checked = checkPrompt(text); !checked)
        return checked.error();
    std::string out;
    if (!m_model->normalize(text, out))
        return makeError(ErrorCode::Malformed,
                         "Damaged tokenizer: its normalisation rules grow the text beyond 1 MiB. "
                         "Download the tokenizer again");
    return out;
}

Result<std::vector<std::int32_t>> UnigramTokenizer::encode(std::string_view text) const {
    const auto normalized = normalize(text);
    if (!normalized)
        return normalized.error();
    return m_model->segment(*normalized);
}

Result<EncodedPrompt> UnigramTokenizer::encodePrompt(std::string_view text, int textLength, int eosId,
                                                     int padId) const {
    if (textLength < 1 || textLength > 65536)
        return makeError(ErrorCode::InvalidArgument,
                         "A text length of " + std::to_string(textLength) + "; expected 1 to 65536");
    auto ids = encode(text);
    if (!ids)
        return ids.error();
    const auto length = static_cast<std::size_t>(textLength);
    EncodedPrompt out;
    out.truncated = ids->size() > length - 1;
    out.ids = std::move(*ids);
    if (out.truncated)
        out.ids.resize(length - 1);
    out.ids.push_back(eosId);
    out.mask.assign(out.ids.size(), 1);
    out.ids.resize(length, padId);
    out.mask.resize(length, 0);
    return out;
}

int UnigramTokenizer::size() const {
    return static_cast<int>(m_model->file.pieces.size());
}

std::string_view UnigramTokenizer::piece(std::int32_t id) const {
    if (id < 0 || id >= size())
        return {};
    return m_model->file.pieces[static_cast<std::size_t>(id)].text;
}

int UnigramTokenizer::unknownId() const {
    return m_model->file.unknownId;
}

} // namespace canopy
