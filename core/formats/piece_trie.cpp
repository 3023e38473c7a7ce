#include "core/formats/piece_trie.h"

#include <algorithm>

namespace canopy {

PieceTrie::PieceTrie(std::vector<std::pair<std::string_view, std::int32_t>> pieces) {
    std::sort(pieces.begin(), pieces.end());
    // Breadth first: each node owns the range of sorted texts that begin with its path.
    struct Range {
        std::size_t begin, end, depth;
    };
    std::vector<Range> ranges = {{0, pieces.size(), 0}};
    m_nodes.emplace_back();
    for (std::size_t n = 0; n < m_nodes.size(); ++n) {
        auto [begin, end, depth] = ranges[n];
        if (begin < end && pieces[begin].first.size() == depth)
            m_nodes[n].id = pieces[begin++].second;
        m_nodes[n].firstChild = static_cast<std::uint32_t>(m_nodes.size());
        std::uint16_t count = 0;
        while (begin < end) {
            const auto label = static_cast<unsigned char>(pieces[begin].first[depth]);
            std::size_t next = begin + 1;
            while (next < end && static_cast<unsigned char>(pieces[next].first[depth]) == label)
                ++next;
            Node node;
            node.label = label;
            m_nodes.push_back(node);
            ranges.push_back({begin, next, depth + 1});
            begin = next;
            ++count;
        }
        m_nodes[n].childCount = count;
    }
    m_fromRoot.fill(kNone);
    for (std::uint32_t i = 0; i < m_nodes[0].childCount; ++i)
        m_fromRoot[m_nodes[m_nodes[0].firstChild + i].label] = m_nodes[0].firstChild + i;
}

std::uint32_t PieceTrie::child(std::uint32_t node, unsigned char label) const {
    if (node == 0)
        return m_fromRoot[label];
    const Node* first = m_nodes.data() + m_nodes[node].firstChild;
    const Node* last = first + m_nodes[node].childCount;
    const Node* found = std::lower_bound(
        first, last, label, [](const Node& n, unsigned char wanted) { return n.label < wanted; });
    return found != last && found->label == label ? static_cast<std::uint32_t>(found - m_nodes.data())
                                                  : kNone;
}

} // namespace canopy
