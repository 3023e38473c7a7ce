#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace canopy {

/// SentencePiece's compiled normalisation rules: a double-array trie over UTF-8 prefixes, and the replacement
/// texts.
///
///     u32 size of the trie in bytes | trie units (u32 each) | replacements, each ended by NUL
///
/// A unit with bit 31 is a leaf whose low bits are an offset into the replacements. Any other unit holds its
/// label (low byte), whether a leaf hangs below it (bit 8) and the distance to its children (bits 9 to 30).
class CharsMap {
public:
    CharsMap() = default; ///< no rules
    /// Every unit is checked before first use: children inside the trie, replacements inside the text.
    static Result<CharsMap> parse(std::span<const std::uint8_t> bytes);

    struct Match {
        std::size_t length = 0; ///< bytes of input; 0 = no rule
        std::string_view replacement;
    };
    /// The longest rule at the start of `text`, among the first 32 as the public reader has it.
    Match longestPrefix(std::string_view text) const;
    bool empty() const { return m_units.empty(); }

private:
    std::vector<std::uint32_t> m_units;
    std::string m_replacements;
};

} // namespace canopy
