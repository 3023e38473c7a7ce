#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace canopy {

struct SentencePieceModel;

/// Ids and mask of one prompt, both exactly as long as the model's text length.
struct EncodedPrompt {
    std::vector<std::int32_t> ids;
    std::vector<std::uint8_t> mask; ///< 1 = token, 0 = padding
    bool truncated = false;         ///< the text had more tokens than fit
};

/// SentencePiece unigram model: text to ids exactly as the public library does it.
/// Immutable after loading and safe to use from any thread. Reading is bounded: nothing in a file is trusted.
class UnigramTokenizer {
public:
    /// A `spiece.model` (protobuf) or `tokenizer.json`, told apart by content; or a text encoder's
    /// safetensors file that carries its tokenizer in a tensor `spiece_model`.
    static Result<UnigramTokenizer> open(const std::filesystem::path& path);
    static Result<UnigramTokenizer> fromSentencePiece(std::span<const std::uint8_t> bytes);
    static Result<UnigramTokenizer> fromTokenizerJson(std::string_view text);

    /// Ids without end-of-sentence. Refuses more than 64 KiB and text that is no UTF-8.
    Result<std::vector<std::int32_t>> encode(std::string_view text) const;
    /// As the pipelines do: ids[:textLength - 1], then `eosId`, then padding with `padId`.
    Result<EncodedPrompt> encodePrompt(std::string_view text, int textLength, int eosId, int padId) const;
    /// The text after normalisation, spaces as U+2581; what encode() segments.
    Result<std::string> normalize(std::string_view text) const;

    int size() const;                              ///< number of pieces
    std::string_view piece(std::int32_t id) const; ///< empty when there is no such id
    int unknownId() const;

private:
    struct Model;
    explicit UnigramTokenizer(std::shared_ptr<const Model> model);
    static Result<UnigramTokenizer> fromTensor(const std::filesystem::path& path);
    static Result<UnigramTokenizer> fromModel(SentencePieceModel file);
    std::shared_ptr<const Model> m_model;
};

} // namespace canopy
