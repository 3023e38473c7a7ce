#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "accel/nn/token_hooks.h"

namespace canopy::test {

/// ForestPrune written straight from its description (token-forest.md 2.3 to 2.5, 2.7, 2.12) with loops over
/// nodes, in double precision, one budget at a time. Shares no line with the policies.
class PublishedForest {
public:
    struct Node {
        int frame = 0;
        int cell = 0; ///< of the frame
        int parent = -1;
        int tree = -1;
        int depth = 0;
    };

    /// `candidates[t]`: cells of frame t, ascending.
    PublishedForest(const accel::VideoTokens& video, const std::vector<std::vector<int>>& candidates,
                    double semantic, double spatial, bool paper);

    const std::vector<Node>& nodes() const { return m_nodes; }
    int roots() const;
    /// Flat cells kept at a budget, ascending.
    std::vector<std::int32_t> keptByCode(int budget) const;
    std::vector<std::int32_t> keptByPaper(int budget) const;
    std::vector<std::int32_t> keptBalanced(int budget) const;

    double cosine(int i, int j) const;

private:
    /// Links R - budget roots by the published loop; returns the nodes with new parents and depths.
    std::vector<Node> linked(int budget) const;
    std::vector<int> treeDepths() const;
    std::vector<bool> trunks() const;
    std::vector<std::int32_t> cellsOf(const std::vector<int>& nodes) const;
    bool hasTooManyRoots(int budget) const { return roots() > budget; }
    std::vector<int> survivingRoots(int budget) const;

    int m_cellsPerFrame;
    int m_perFrame;
    std::vector<Node> m_nodes;
    std::vector<std::vector<double>> m_unit;
};

} // namespace canopy::test
