#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace canopy {

struct BpeModel;

/// Whether `<|im_start|>` and the like inside a text become their own token. A person's words are AsText:
/// they must not be able to end a turn.
enum class SpecialTokens : std::uint8_t { AsText, AsTokens };

/// Byte-level BPE of Qwen2: text to ids and back, as the public libraries do it. Immutable after loading and
/// safe to use from any thread. Reading is bounded: nothing in a file is trusted.
class BpeTokenizer {
public:
    /// A `tokenizer.json`, or a `vocab.json` with its `merges.txt`; then added_tokens.json and
    /// tokenizer_config.json of the same folder are read where they exist.
    static Result<BpeTokenizer> open(const std::filesystem::path& file,
                                     const std::filesystem::path& mergesFile = {});
    static Result<BpeTokenizer> fromTokenizerJson(std::string_view text);
    /// Empty texts stand for files that are not there; the first two are needed.
    static Result<BpeTokenizer> fromVocabulary(std::string_view vocabJson, std::string_view mergesText,
                                               std::string_view addedTokensJson = {},
                                               std::string_view tokenizerConfigJson = {});

    /// Added tokens are cut out first, the rest is brought to NFC, split into words and merged by rank.
    /// Refuses text that is no UTF-8, more than 4 MiB, and more than 1,024 combining marks in a row. Time
    /// grows as n log n with the text, also when it is a single word.
    Result<std::vector<std::int32_t>> encode(std::string_view text, SpecialTokens special) const;

    /// Text of `ids` without special tokens; bytes that are no UTF-8 become U+FFFD, ids without a token
    /// nothing.
    std::string decode(std::span<const std::int32_t> ids) const;
    /// The same with special tokens, as they are written in files.
    std::string decodeAll(std::span<const std::int32_t> ids) const;
    /// The part of decode(ids) that no following id can change: a character whose last bytes are still to
    /// come is held back. Growing `ids` only ever appends to it.
    std::string decodePrefix(std::span<const std::int32_t> ids) const;

    int size() const;                                                    ///< highest id + 1
    std::optional<std::int32_t> addedToken(std::string_view text) const; ///< id of "<|im_end|>" and the like
    std::string_view tokenBytes(std::int32_t id) const;                  ///< empty when there is no such id

private:
    struct Tables;
    explicit BpeTokenizer(std::shared_ptr<const Tables> tables);
    static Result<BpeTokenizer> fromModel(Result<BpeModel> model);
    std::shared_ptr<const Tables> m_tables;
};

} // namespace canopy
