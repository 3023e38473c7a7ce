#include "tests/accel/tokens/published_forest.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace canopy::test {
namespace {

std::size_t at(int i) {
    return static_cast<std::size_t>(i);
}

} // namespace

PublishedForest::PublishedForest(const accel::VideoTokens& video,
                                 const std::vector<std::vector<int>>& candidates, double semantic,
                                 double spatial, bool paper)
    : m_cellsPerFrame(video.rows * video.columns)
    , m_perFrame(static_cast<int>(candidates.front().size())) {
    const auto features = video.features.to(at::kDouble).contiguous();
    const double* data = features.const_data_ptr<double>();
    const auto width = features.size(2);
    const auto distances = [&](const Node& a, const Node& b) {
        // In single precision like the public code, whose comparison with 1 - tau_sp depends on it.
        const auto coordinate = [](int i, int n) {
            return static_cast<float>(i) / static_cast<float>(std::max(n - 1, 1));
        };
        const float dr = std::abs(coordinate(a.cell / video.columns, video.rows) -
                                  coordinate(b.cell / video.columns, video.rows));
        const float dc = std::abs(coordinate(a.cell % video.columns, video.columns) -
                                  coordinate(b.cell % video.columns, video.columns));
        return std::pair(std::max(dr, dc), std::hypot(static_cast<double>(dr), static_cast<double>(dc)));
    };

    std::vector<int> tails;
    for (int t = 0; t < static_cast<int>(candidates.size()); ++t) {
        std::vector<int> tailsNow = tails;
        const int before = static_cast<int>(m_nodes.size());
        for (const int cell : candidates[at(t)]) {
            Node node;
            node.frame = t;
            node.cell = cell;
            const double* x = data + (std::int64_t{t} * m_cellsPerFrame + cell) * width;
            std::vector<double> unit(x, x + width);
            double norm = 0;
            for (const double v : unit)
                norm += v * v;
            for (double& v : unit)
                v /= std::sqrt(norm);
            m_unit.push_back(std::move(unit));
            m_nodes.push_back(node);
            const int self = static_cast<int>(m_nodes.size()) - 1;

            int best = -1;
            for (int i = 0; i < before; ++i) {
                const auto [window, distance] = distances(m_nodes[at(i)], node);
                if (cosine(i, self) < semantic || window > static_cast<float>(1.0 - spatial))
                    continue;
                if (best < 0) {
                    best = i;
                    continue;
                }
                const auto [bestWindow, bestDistance] = distances(m_nodes[at(best)], node);
                const bool better =
                    paper ? cosine(i, self) - 0.1 * distance > cosine(best, self) - 0.1 * bestDistance
                          : std::tuple(-cosine(i, self), window, m_nodes[at(i)].tree) <
                                std::tuple(-cosine(best, self), bestWindow, m_nodes[at(best)].tree);
                if (better)
                    best = i;
            }
            Node& placed = m_nodes.back();
            if (best < 0) {
                placed.tree = static_cast<int>(tailsNow.size());
                tailsNow.push_back(self);
                continue;
            }
            placed.tree = m_nodes[at(best)].tree;
            placed.parent = paper ? best : tails[at(placed.tree)];
            placed.depth = m_nodes[at(placed.parent)].depth + 1;
            tailsNow[at(placed.tree)] = self;
        }
        tails = tailsNow;
    }
}

double PublishedForest::cosine(int i, int j) const {
    double sum = 0;
    for (std::size_t d = 0; d < m_unit[at(i)].size(); ++d)
        sum += m_unit[at(i)][d] * m_unit[at(j)][d];
    return sum;
}

int PublishedForest::roots() const {
    return static_cast<int>(
        std::count_if(m_nodes.begin(), m_nodes.end(), [](const Node& n) { return n.parent < 0; }));
}

std::vector<PublishedForest::Node> PublishedForest::linked(int budget) const {
    std::vector<Node> nodes = m_nodes;
    std::vector<int> standing;
    for (int i = 0; i < static_cast<int>(nodes.size()); ++i)
        if (nodes[at(i)].parent < 0)
            standing.push_back(i);
    while (static_cast<int>(standing.size()) > budget) {
        double best = -2;
        int parent = -1, child = -1;
        for (const int p : standing)
            for (const int q : standing)
                if (p < q && cosine(p, q) > best)
                    std::tie(best, parent, child) = std::tuple(cosine(p, q), p, q);
        nodes[at(child)].parent = parent;
        std::erase(standing, child);
    }
    for (Node& node : nodes)
        node.depth = node.parent < 0 ? 0 : nodes[at(node.parent)].depth + 1;
    return nodes;
}

std::vector<std::int32_t> PublishedForest::cellsOf(const std::vector<int>& nodes) const {
    std::vector<std::int32_t> cells;
    for (const int i : nodes)
        cells.push_back(m_nodes[at(i)].frame * m_cellsPerFrame + m_nodes[at(i)].cell);
    std::sort(cells.begin(), cells.end());
    return cells;
}

std::vector<std::int32_t> PublishedForest::keptByCode(int budget) const {
    const std::vector<Node> nodes = linked(budget);
    std::vector<int> order;
    for (int i = 0; i < static_cast<int>(nodes.size()); ++i)
        order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
        return std::tuple(nodes[at(a)].depth, nodes[at(a)].frame, nodes[at(a)].cell) <
               std::tuple(nodes[at(b)].depth, nodes[at(b)].frame, nodes[at(b)].cell);
    });
    order.resize(at(budget));
    return cellsOf(order);
}

std::vector<int> PublishedForest::survivingRoots(int budget) const {
    const std::vector<Node> nodes = linked(budget);
    std::vector<int> left;
    for (int i = 0; i < static_cast<int>(nodes.size()); ++i)
        if (nodes[at(i)].parent < 0)
            left.push_back(i);
    return left;
}

std::vector<int> PublishedForest::treeDepths() const {
    std::vector<int> depths(at(roots()));
    for (const Node& node : m_nodes)
        depths[at(node.tree)] = std::max(depths[at(node.tree)], node.depth);
    return depths;
}

std::vector<bool> PublishedForest::trunks() const {
    std::vector<bool> result(m_nodes.size());
    for (const Node& node : m_nodes)
        if (node.parent >= 0 && m_nodes[at(node.parent)].parent >= 0)
            result[at(node.parent)] = true;
    return result;
}

std::vector<std::int32_t> PublishedForest::keptByPaper(int budget) const {
    if (hasTooManyRoots(budget))
        return cellsOf(survivingRoots(budget));
    const std::vector<int> depths = treeDepths();
    std::vector<int> sizes(depths.size());
    for (const Node& node : m_nodes)
        ++sizes[at(node.tree)];
    std::vector<int> trees;
    for (int i = 0; i < static_cast<int>(depths.size()); ++i)
        trees.push_back(i);
    std::stable_sort(trees.begin(), trees.end(), [&](int a, int b) {
        return std::pair(depths[at(a)], sizes[at(a)]) > std::pair(depths[at(b)], sizes[at(b)]);
    });
    const std::vector<bool> trunk = trunks();
    std::vector<bool> gone(m_nodes.size());
    int left = static_cast<int>(m_nodes.size());
    // Removes the last of `tree` in frame `frame` or any, among leaves or trunks; false when there is none.
    const auto removeOne = [&](int tree, int frame, bool ofTrunks) {
        int worst = -1;
        for (int i = 0; i < static_cast<int>(m_nodes.size()); ++i) {
            const Node& n = m_nodes[at(i)];
            if (gone[at(i)] || n.tree != tree || n.parent < 0 || trunk[at(i)] != ofTrunks ||
                (frame >= 0 && n.frame != frame))
                continue;
            if (worst < 0 ||
                std::tuple(n.frame, cosine(i, n.parent), i) >
                    std::tuple(m_nodes[at(worst)].frame, cosine(worst, m_nodes[at(worst)].parent), worst))
                worst = i;
        }
        if (worst >= 0) {
            gone[at(worst)] = true;
            --left;
        }
        return worst >= 0;
    };
    for (const int tree : trees)
        while (left > budget && removeOne(tree, -1, false)) {
        }
    for (int frame = m_nodes.back().frame; frame >= 0; --frame)
        for (const int tree : trees)
            while (left > budget && removeOne(tree, frame, true)) {
            }
    std::vector<int> kept;
    for (int i = 0; i < static_cast<int>(m_nodes.size()); ++i)
        if (!gone[at(i)])
            kept.push_back(i);
    return cellsOf(kept);
}

std::vector<std::int32_t> PublishedForest::keptBalanced(int budget) const {
    if (hasTooManyRoots(budget))
        return cellsOf(survivingRoots(budget));
    const std::vector<int> depths = treeDepths();
    const std::vector<bool> trunk = trunks();
    std::vector<int> kept;
    std::vector<bool> taken(m_nodes.size());
    std::vector<int> perFrame(at(m_nodes.back().frame + 1));
    const auto take = [&](int i) {
        kept.push_back(i);
        taken[at(i)] = true;
        ++perFrame[at(m_nodes[at(i)].frame)];
    };
    for (int i = 0; i < static_cast<int>(m_nodes.size()); ++i)
        if (m_nodes[at(i)].parent < 0)
            take(i);
    while (static_cast<int>(kept.size()) < budget) {
        int best = -1;
        double bestScore = 0;
        for (int i = 0; i < static_cast<int>(m_nodes.size()); ++i) {
            const Node& n = m_nodes[at(i)];
            if (taken[at(i)])
                continue;
            const double score = (1 - cosine(i, n.parent)) + (trunk[at(i)] ? 0.1 : 0) +
                                 0.05 * std::log2(1.0 + depths[at(n.tree)]) -
                                 0.5 * perFrame[at(n.frame)] / static_cast<double>(m_perFrame);
            if (best < 0 || score > bestScore)
                std::tie(best, bestScore) = std::pair(i, score);
        }
        take(best);
    }
    return cellsOf(kept);
}

} // namespace canopy::test
