#include "accel/policies/tokens/forest_order.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace canopy::accel {
namespace {

using Nodes = std::vector<std::int32_t>;

std::size_t at(std::int32_t index) {
    return static_cast<std::size_t>(index);
}

Nodes rootsInOrder(const TokenForest& forest, const std::vector<TokenRun::Merge>& merges) {
    Nodes order = {forest.roots.front()}; // nothing stands before it that it could be linked to
    for (auto merge = merges.rbegin(); merge != merges.rend(); ++merge)
        order.push_back(merge->child);
    return order;
}

Nodes nonRoots(const TokenForest& forest) {
    Nodes nodes;
    for (std::size_t i = 0; i < forest.parent.size(); ++i)
        if (forest.parent[i] >= 0)
            nodes.push_back(static_cast<std::int32_t>(i));
    return nodes;
}

struct Trees {
    std::vector<std::int32_t> depth; ///< per tree
    std::vector<std::int32_t> nodes; ///< per tree
    std::vector<bool> isTrunk;       ///< per node: has parent and child
};

Trees measure(const TokenForest& forest) {
    Trees trees;
    trees.depth.resize(forest.roots.size());
    trees.nodes.resize(forest.roots.size());
    trees.isTrunk.resize(forest.parent.size());
    for (std::size_t i = 0; i < forest.parent.size(); ++i) {
        const std::size_t tree = at(forest.tree[i]);
        trees.depth[tree] = std::max(trees.depth[tree], forest.depth[i]);
        ++trees.nodes[tree];
        if (forest.parent[i] >= 0 && forest.parent[at(forest.parent[i])] >= 0)
            trees.isTrunk[at(forest.parent[i])] = true;
    }
    return trees;
}

} // namespace

std::vector<std::int32_t> codeOrder(const TokenForest& forest, const std::vector<TokenRun::Merge>& merges,
                                    std::int64_t) {
    Nodes order = rootsInOrder(forest, merges);
    Nodes rest = nonRoots(forest);
    // Node ids ascend with frame and cell.
    std::stable_sort(rest.begin(), rest.end(), [&](std::int32_t a, std::int32_t b) {
        return forest.depth[at(a)] < forest.depth[at(b)];
    });
    order.insert(order.end(), rest.begin(), rest.end());
    return order;
}

std::vector<std::int32_t> paperOrder(const TokenForest& forest, const std::vector<TokenRun::Merge>& merges,
                                     std::int64_t nodesPerFrame) {
    const Trees trees = measure(forest);
    std::vector<std::int32_t> place(forest.roots.size()); // of each tree among trees by depth
    {
        Nodes byDepth(forest.roots.size());
        for (std::size_t i = 0; i < byDepth.size(); ++i)
            byDepth[i] = static_cast<std::int32_t>(i);
        std::stable_sort(byDepth.begin(), byDepth.end(), [&](std::int32_t a, std::int32_t b) {
            return std::tuple(-trees.depth[at(a)], -trees.nodes[at(a)]) <
                   std::tuple(-trees.depth[at(b)], -trees.nodes[at(b)]);
        });
        for (std::size_t i = 0; i < byDepth.size(); ++i)
            place[at(byDepth[i])] = static_cast<std::int32_t>(i);
    }
    // What is removed first is least.
    const auto removal = [&](std::int32_t node) {
        const bool trunk = trees.isTrunk[at(node)];
        const auto frame = static_cast<std::int32_t>(node / nodesPerFrame);
        const std::int32_t tree = place[at(forest.tree[at(node)])];
        return std::tuple(trunk, trunk ? -frame : tree, trunk ? tree : -frame,
                          -forest.parentSimilarity[at(node)], -node);
    };
    Nodes removed = nonRoots(forest);
    std::sort(removed.begin(), removed.end(),
              [&](std::int32_t a, std::int32_t b) { return removal(a) < removal(b); });
    Nodes order = rootsInOrder(forest, merges);
    order.insert(order.end(), removed.rbegin(), removed.rend());
    return order;
}

std::vector<std::int32_t> balancedOrder(const TokenForest& forest, const std::vector<TokenRun::Merge>& merges,
                                        std::int64_t nodesPerFrame) {
    const Trees trees = measure(forest);
    const auto score = [&](std::int32_t node) {
        const double depth = trees.depth[at(forest.tree[at(node)])];
        return (1.0 - static_cast<double>(forest.parentSimilarity[at(node)])) +
               (trees.isTrunk[at(node)] ? 0.1 : 0.0) + 0.05 * std::log2(1.0 + depth);
    };
    const std::size_t frames = forest.parent.size() / static_cast<std::size_t>(nodesPerFrame);
    struct Frame {
        Nodes waiting;        ///< best last
        double kept = 0;      ///< nodes of this frame in the order so far
        double bestScore = 0; ///< of waiting.back(), without the frame's share
    };
    std::vector<Frame> byFrame(frames);
    const auto frameOf = [&](std::int32_t node) -> Frame& {
        return byFrame[static_cast<std::size_t>(node / nodesPerFrame)];
    };
    for (const std::int32_t node : nonRoots(forest))
        frameOf(node).waiting.push_back(node);
    for (Frame& frame : byFrame) {
        std::sort(frame.waiting.begin(), frame.waiting.end(), [&](std::int32_t a, std::int32_t b) {
            return std::tuple(score(a), -a) < std::tuple(score(b), -b);
        });
        if (!frame.waiting.empty())
            frame.bestScore = score(frame.waiting.back());
    }
    Nodes order = rootsInOrder(forest, merges);
    for (const std::int32_t root : order)
        frameOf(root).kept += 1;

    const double k = static_cast<double>(nodesPerFrame);
    while (order.size() < forest.parent.size()) {
        Frame* best = nullptr;
        double bestScore = 0;
        for (Frame& frame : byFrame) {
            const double own = frame.bestScore - 0.5 * (frame.kept / k);
            if (!frame.waiting.empty() && (!best || own > bestScore)) {
                best = &frame;
                bestScore = own;
            }
        }
        order.push_back(best->waiting.back());
        best->waiting.pop_back();
        best->kept += 1;
        if (!best->waiting.empty())
            best->bestScore = score(best->waiting.back());
    }
    return order;
}

} // namespace canopy::accel
