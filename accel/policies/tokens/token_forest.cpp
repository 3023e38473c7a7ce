#include "accel/policies/tokens/token_forest.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "accel/policies/tokens/token_math.h"
#include "accel/runtime/cancelled.h"

// T frames of k candidates, M = T k nodes, N cells a frame, D feature width. For frame t the nodes lo..hi-1
// are compared with nodes 0..lo-1; S [k, lo] holds their cosines.

namespace canopy::accel {
namespace {

constexpr double kInfeasible = -9;        ///< below every cosine
constexpr double kFar = 9;                ///< above every distance
constexpr double kDistanceWeight = 0.1;   ///< lambda of the paper's Eq. 7 (token-forest.md 2.7)
constexpr std::int64_t kRowsAtOnce = 336; ///< rows of cosines per product

at::Tensor unitFeatures(const at::Tensor& features, const at::Tensor& cells) {
    const auto index = cells.unsqueeze(-1).expand({-1, -1, features.size(2)});
    const auto chosen = features.gather(1, index).to(at::kFloat).flatten(0, 1); // [M, D]
    return unitRows(chosen);
}

/// Distances between cells of a frame, coordinates 0 to 1: float32 [N, N].
struct CellDistances {
    at::Tensor chebyshev;
    at::Tensor euclidean;

    CellDistances(int rows, int columns, const at::TensorOptions& options) {
        const auto cell = at::arange(std::int64_t{rows} * columns, options.dtype(at::kLong));
        const auto row = cell.floor_divide(columns).to(at::kFloat) / std::max(rows - 1, 1);
        const auto column = cell.remainder(columns).to(at::kFloat) / std::max(columns - 1, 1);
        const auto dr = (row.unsqueeze(1) - row.unsqueeze(0)).abs();
        const auto dc = (column.unsqueeze(1) - column.unsqueeze(0)).abs();
        chebyshev = at::maximum(dr, dc);
        euclidean = (dr * dr + dc * dc).sqrt();
    }
};

/// Cosines of each node with all nodes up to the end of its frame, a few frames of rows at a time.
class CosineRows {
public:
    CosineRows(const at::Tensor& unit, std::int64_t perFrame, std::int64_t mostDenseNodes)
        : m_unit(unit)
        , m_perFrame(perFrame)
        , m_rows(std::max<std::int64_t>(1, kRowsAtOnce / perFrame) * perFrame) {
        if (unit.size(0) <= mostDenseNodes)
            m_all = at::empty({unit.size(0), unit.size(0)}, unit.options());
    }
    /// [k, M or fewer] rows of frame t; columns up to the frame's end are valid.
    at::Tensor frame(std::int64_t t) {
        const std::int64_t lo = t * m_perFrame;
        if (lo % m_rows == 0)
            compute(lo, std::min(lo + m_rows, m_unit.size(0)));
        return m_block.narrow(0, lo % m_rows, m_perFrame);
    }
    const at::Tensor& all() const { return m_all; }

private:
    void compute(std::int64_t lo, std::int64_t hi) {
        const auto rows = m_unit.narrow(0, lo, hi - lo);
        m_block = rowProducts(rows, m_unit.narrow(0, 0, hi)); // [rows, hi]
        if (m_all.defined())
            m_all.narrow(0, lo, hi - lo).narrow(1, 0, hi).copy_(m_block);
    }

    at::Tensor m_unit;
    std::int64_t m_perFrame;
    std::int64_t m_rows;
    at::Tensor m_all;
    at::Tensor m_block;
};

/// Forest state on the device while frames are added.
class ForestBuilder {
public:
    ForestBuilder(const at::Tensor& unit, const at::Tensor& cells, int rows, int columns,
                  const ForestRule& rule)
        : m_rule(rule)
        , m_perFrame(cells.size(1))
        , m_nodes(unit.size(0))
        , m_cells(cells.flatten())
        , m_distances(rows, columns, unit.options())
        , m_ids(at::arange(m_nodes, cells.options()))
        , m_tree(at::zeros({m_nodes}, cells.options()))
        , m_parent(at::full({m_nodes}, -1, cells.options()))
        , m_match(at::full({m_nodes}, -1, cells.options()))
        , m_depth(at::zeros({m_nodes}, cells.options()))
        , m_parentSimilarity(at::zeros({m_nodes}, unit.options()))
        , m_matchSimilarity(at::zeros({m_nodes}, unit.options()))
        , m_tail(at::full({m_nodes}, -1, cells.options()))
        , m_trees(at::full({}, m_perFrame, cells.options()))
        , m_order(at::zeros({m_nodes}, cells.options().dtype(orderType())))
        , m_infeasible(at::full({}, kInfeasible, unit.options()))
        , m_far(at::full({}, kFar, unit.options()))
        , m_last(at::full({}, m_nodes * m_nodes, m_order.options())) {
        m_tree.narrow(0, 0, m_perFrame).copy_(m_ids.narrow(0, 0, m_perFrame));
        setOrder(0);
        m_tail.narrow(0, 0, m_perFrame).copy_(m_ids.narrow(0, 0, m_perFrame));
    }

    /// Frame t >= 1; `cosines` [k, >= lo].
    void addFrame(std::int64_t t, const at::Tensor& cosines) {
        const std::int64_t lo = t * m_perFrame;
        const auto S = cosines.narrow(1, 0, lo);
        const auto own = m_cells.narrow(0, lo, m_perFrame);
        const auto earlier = m_cells.narrow(0, 0, lo);
        const auto window = m_distances.chebyshev.index_select(0, own).index_select(1, earlier); // [k, lo]
        // Whether the best pair inside the window reaches tau_s decides for all of them.
        const auto near = at::where(window <= reach(), S, m_infeasible);
        const bool byTail = m_rule.parents == ParentRule::TreeTail;
        const Choice choice = byTail ? chooseTree(near, window) : chooseParent(near, own, earlier);

        auto tree = m_tree.narrow(0, lo, m_perFrame);
        const auto matchTree = m_tree.index_select(0, choice.match);
        const auto newTree = m_trees + choice.isRoot.cumsum(0) - 1;
        tree.copy_(at::where(choice.isRoot, newTree, matchTree));
        setOrder(lo);
        m_trees = m_trees + choice.isRoot.sum();

        const auto parent = byTail ? m_tail.index_select(0, matchTree) : choice.match;
        const auto none = at::scalar_tensor(-1, parent.options());
        m_parent.narrow(0, lo, m_perFrame).copy_(at::where(choice.isRoot, none, parent));
        m_match.narrow(0, lo, m_perFrame).copy_(at::where(choice.isRoot, none, choice.match));
        const auto joined = choice.isRoot.logical_not();
        m_depth.narrow(0, lo, m_perFrame).copy_((m_depth.index_select(0, parent) + 1) * joined);
        const auto similarity = [&](const at::Tensor& node) {
            const auto cosine = S.gather(1, node.unsqueeze(1)).squeeze(1);
            return at::where(joined, cosine, at::scalar_tensor(0, cosine.options()));
        };
        m_parentSimilarity.narrow(0, lo, m_perFrame).copy_(similarity(parent));
        m_matchSimilarity.narrow(0, lo, m_perFrame).copy_(similarity(choice.match));
        // Ids of this frame exceed every tail of before: the largest one that a tree received becomes its
        // tail.
        m_tail.scatter_reduce_(0, tree, m_ids.narrow(0, lo, m_perFrame), "amax");
    }

    /// The only wait for the device.
    void copyTo(TokenForest& forest) const {
        const auto frame = m_ids.floor_divide(m_perFrame);
        const auto flat = m_cells + frame * m_distances.chebyshev.size(0);
        const auto whole = at::stack({flat, m_tree, m_parent, m_match, m_depth}).to(at::kInt).to(at::kCPU);
        const auto real = at::stack({m_parentSimilarity, m_matchSimilarity}).to(at::kCPU);
        const auto ints = [&](std::int64_t row) {
            const auto* first = whole.const_data_ptr<std::int32_t>() + row * m_nodes;
            return std::vector<std::int32_t>(first, first + m_nodes);
        };
        const auto floats = [&](std::int64_t row) {
            const auto* first = real.const_data_ptr<float>() + row * m_nodes;
            return std::vector<float>(first, first + m_nodes);
        };
        forest.cell = ints(0);
        forest.tree = ints(1);
        forest.parent = ints(2);
        forest.match = ints(3);
        forest.depth = ints(4);
        forest.parentSimilarity = floats(0);
        forest.matchSimilarity = floats(1);
        for (std::size_t i = 0; i < forest.parent.size(); ++i)
            if (forest.parent[i] < 0)
                forest.roots.push_back(static_cast<std::int32_t>(i));
    }

private:
    struct Choice {
        at::Tensor match;  ///< int64 [k], an earlier node; 0 for roots
        at::Tensor isRoot; ///< bool [k]
    };

    void setOrder(std::int64_t lo) {
        const auto ids = m_ids.narrow(0, lo, m_perFrame);
        m_order.narrow(0, lo, m_perFrame).copy_(m_tree.narrow(0, lo, m_perFrame) * m_nodes + ids);
    }
    double reach() const { return 1.0 - m_rule.spatialThreshold; }

    /// Highest cosine, then smallest distance, then smallest tree, then earliest node. `near` [k, lo]:
    /// cosines inside the window.
    Choice chooseTree(const at::Tensor& near, const at::Tensor& window) const {
        const auto best = near.amax(1, true); // [k, 1]
        const auto isRoot = (best.squeeze(1) >= m_rule.semanticThreshold).logical_not();
        const auto distance = at::where(near == best, window, m_far);
        const auto tied = distance == distance.amin(1, true);
        const auto order = m_order.narrow(0, 0, near.size(1)); // [lo]
        const auto first = at::where(tied, order.unsqueeze(0), m_last).amin(1).to(at::kLong);
        return {first.remainder(m_nodes) * isRoot.logical_not(), isRoot};
    }

    /// Highest similarity - lambda * distance (Eq. 7 and 8) of the pairs with c = 1, then earliest node.
    Choice chooseParent(const at::Tensor& near, const at::Tensor& own, const at::Tensor& earlier) const {
        const auto distance = m_distances.euclidean.index_select(0, own).index_select(1, earlier);
        const auto linked = near >= m_rule.semanticThreshold;
        const auto score = at::where(linked, near - kDistanceWeight * distance, m_infeasible);
        const auto best = score.amax(1, true);
        const auto isRoot = best.squeeze(1) <= kInfeasible;
        const auto ids = m_ids.narrow(0, 0, near.size(1)).to(m_order.scalar_type());
        const auto first = at::where(score == best, ids.unsqueeze(0), m_last).amin(1).to(at::kLong);
        return {first * isRoot.logical_not(), isRoot};
    }

    /// Tree, then node, in one number of the narrowest type that holds it.
    at::ScalarType orderType() const {
        return m_nodes * m_nodes <= std::numeric_limits<std::int32_t>::max() ? at::kInt : at::kLong;
    }

    ForestRule m_rule;
    std::int64_t m_perFrame;
    std::int64_t m_nodes;
    at::Tensor m_cells; ///< of the frame, [M]
    CellDistances m_distances;
    at::Tensor m_ids;
    at::Tensor m_tree, m_parent, m_match, m_depth;
    at::Tensor m_parentSimilarity, m_matchSimilarity;
    at::Tensor m_tail;                      ///< per tree
    at::Tensor m_trees;                     ///< how many there are
    at::Tensor m_order;                     ///< tree * M + node, [M]
    at::Tensor m_infeasible, m_far, m_last; ///< scalars
};

} // namespace

TokenForest buildForest(const at::Tensor& features, const at::Tensor& cells, int rows, int columns,
                        const ForestRule& rule, const std::stop_token& stop, std::int64_t mostDenseNodes) {
    TokenForest forest;
    forest.unit = unitFeatures(features, cells);
    CosineRows cosines(forest.unit, cells.size(1), mostDenseNodes);
    ForestBuilder builder(forest.unit, cells, rows, columns, rule);
    for (std::int64_t t = 0; t < cells.size(0); ++t) {
        throwIfStopped(stop);
        const auto own = cosines.frame(t);
        if (t > 0)
            builder.addFrame(t, own);
    }
    forest.cosines = cosines.all();
    builder.copyTo(forest);
    return forest;
}

} // namespace canopy::accel
