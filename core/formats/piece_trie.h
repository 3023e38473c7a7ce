#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace canopy {

/// Prefix tree over byte strings, built once. Children of a node lie side by side, ordered by label; nothing
/// recurses.
class PieceTrie {
public:
    static constexpr std::uint32_t kNone = 0xFFFFFFFF;

    /// Texts are distinct and not empty.
    explicit PieceTrie(std::vector<std::pair<std::string_view, std::int32_t>> pieces = {});

    std::uint32_t root() const { return 0; }
    /// The child of `node` under `label`, or kNone.
    std::uint32_t child(std::uint32_t node, unsigned char label) const;
    /// Id of the text that ends here, or -1.
    std::int32_t id(std::uint32_t node) const { return m_nodes[node].id; }
    bool empty() const { return m_nodes.size() == 1; }

private:
    struct Node {
        std::uint32_t firstChild = 0;
        std::uint16_t childCount = 0;
        unsigned char label = 0;
        std::int32_t id = -1;
    };
    std::vector<Node> m_nodes;
    std::array<std::uint32_t, 256> m_fromRoot;
};

} // namespace canopy
