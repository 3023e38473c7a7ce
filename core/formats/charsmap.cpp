#include "core/formats/charsmap.h"

#include <cstring>

#include "core/formats/utf8.h"

namespace canopy {

namespace {

constexpr std::size_t kMaxMatches = 32;
/// No real rule is nearly as long; a trie that leads back into itself would otherwise walk the whole text.
constexpr std::size_t kMaxRuleBytes = 256;

bool isLeaf(std::uint32_t unit) {
    return unit >> 31;
}
bool hasLeaf(std::uint32_t unit) {
    return unit >> 8 & 1;
}
std::uint32_t distance(std::uint32_t unit) {
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

Error damaged(std::string what) {
    return makeError(ErrorCode::Malformed, "Damaged tokenizer: the normalisation rules " + std::move(what) +
                                               ". Download the tokenizer again");
}

} // namespace

Result<CharsMap> CharsMap::parse(std::span<const std::uint8_t> bytes) {
    CharsMap map;
    if (bytes.empty())
        return map;
    if (bytes.size() < 4)
        return damaged("end inside their size field");
    std::uint32_t trieBytes = 0;
    for (std::size_t i = 4; i-- > 0;)
        trieBytes = trieBytes << 8 | bytes[i];
    if (trieBytes > bytes.size() - 4)
        return damaged("announce a trie of " + std::to_string(trieBytes) + " bytes and have " +
                       std::to_string(bytes.size() - 4));
    // Children of a unit share a block of 256, so a whole number of blocks bounds them all.
    if (trieBytes == 0 || trieBytes % 1024 != 0)
        return damaged("have a trie of " + std::to_string(trieBytes) + " bytes; expected a multiple of 1024");
    map.m_units.resize(trieBytes / 4);
    for (std::size_t i = 0; i < map.m_units.size(); ++i) {
        const std::uint8_t* p = bytes.data() + 4 + 4 * i;
        map.m_units[i] = static_cast<std::uint32_t>(p[0]) | static_cast<std::uint32_t>(p[1]) << 8 |
                         static_cast<std::uint32_t>(p[2]) << 16 | static_cast<std::uint32_t>(p[3]) << 24;
    }
    const auto text = bytes.subspan(4 + trieBytes);
    map.m_replacements.assign(text.begin(), text.end());
    if (map.m_replacements.empty() || map.m_replacements.back() != '\0')
        return damaged("have replacement texts without an end");
    if (!isValidUtf8(map.m_replacements))
        return damaged("have replacement texts that are no UTF-8");

    if (isLeaf(map.m_units[0]))
        return damaged("have a leaf as root");
    for (std::size_t i = 0; i < map.m_units.size(); ++i) {
        const std::uint32_t unit = map.m_units[i];
        if (isLeaf(unit)) {
            const std::uint32_t value = unit & 0x7FFFFFFF;
            if (value >= map.m_replacements.size())
                return damaged("have a replacement outside of the texts");
            // Inside of a character a replacement would be broken UTF-8.
            if ((static_cast<unsigned char>(map.m_replacements[value]) & 0xC0) == 0x80)
                return damaged("have a replacement that starts inside a character");
            continue;
        }
        const std::size_t children = i ^ distance(unit);
        if ((children | 0xFF) >= map.m_units.size())
            return damaged("have children outside of the trie");
        if (hasLeaf(unit) && !isLeaf(map.m_units[children]))
            return damaged("have a rule without replacement");
    }
    return map;
}

CharsMap::Match CharsMap::longestPrefix(std::string_view text) const {
    Match best;
    if (m_units.empty())
        return best;
    std::size_t node = distance(m_units[0]);
    std::size_t matches = 0;
    for (std::size_t i = 0; i < text.size() && i < kMaxRuleBytes; ++i) {
        node ^= static_cast<unsigned char>(text[i]);
        // A leaf has no children, whatever its bits look like; its label compares unequal because of bit 31.
        if (node >= m_units.size() || isLeaf(m_units[node]) ||
            (m_units[node] & 0xFF) != static_cast<unsigned char>(text[i]))
            break;
        const std::uint32_t unit = m_units[node];
        node ^= distance(unit);
        if (hasLeaf(unit) && node < m_units.size() && matches < kMaxMatches) {
            ++matches;
            best.length = i + 1;
            best.replacement = m_replacements.data() + (m_units[node] & 0x7FFFFFFF);
        }
    }
    return best;
}

} // namespace canopy
