#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace canopy {

/// A token that is matched as a whole, before anything is split.
struct AddedToken {
    std::string text;
    std::int32_t id = 0;
    bool special = true; ///< marks turns and places: never matched in a person's own words
};

/// A byte-level BPE vocabulary as its files say it, checked: every byte is a token, ids and texts are unique,
/// both sides of a merge and its result are tokens.
struct BpeModel {
    struct Merge {
        std::int32_t left = 0, right = 0, result = 0;
    };
    std::vector<std::string> tokens; ///< bytes by id; an id that is in no file has none
    std::vector<Merge> merges;       ///< by rank
    std::vector<AddedToken> added;
    bool nfc = true; ///< text is brought to normalisation form C first
};

/// A `tokenizer.json` of the Qwen2 kind. Steps that mean something else are refused by name.
Result<BpeModel> parseBpeTokenizerJson(std::string_view text);
/// `vocab.json`, `merges.txt` and, when not empty, `added_tokens.json` and `tokenizer_config.json`.
Result<BpeModel> parseBpeVocabulary(std::string_view vocabulary, std::string_view merges,
                                    std::string_view addedTokens, std::string_view tokenizerConfig);

} // namespace canopy
