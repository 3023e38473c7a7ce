#include "core/job/token_run.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace canopy {
namespace {

/// Half to even, as the published code rounds.
int roundHalfEven(double value) {
    return static_cast<int>(std::nearbyint(value));
}

bool isForest(const TokenRun& run) {
    return tokenModeInfo(run.settings.mode).kind == TokenModeKind::Forest;
}

/// Cells by rank.
std::vector<std::int32_t> keepingOrder(const TokenRun& run) {
    std::vector<std::int32_t> order;
    for (std::size_t cell = 0; cell < run.priority.size(); ++cell) {
        if (run.priority[cell] < 0)
            continue;
        const auto rank = static_cast<std::size_t>(run.priority[cell]);
        if (order.size() <= rank)
            order.resize(rank + 1);
        order[rank] = static_cast<std::int32_t>(cell);
    }
    return order;
}

/// The longest prefix of `order` that fits into `tokens` together with its newlines. Newlines never become
/// fewer as cells join, so the search is a bisection.
int longestPrefix(const TokenRun& run, const std::vector<std::int32_t>& order, int tokens) {
    std::vector<std::uint8_t> kept(static_cast<std::size_t>(run.cells()));
    const auto fits = [&](int n) {
        std::fill(kept.begin(), kept.end(), std::uint8_t{0});
        for (int i = 0; i < n; ++i)
            kept[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = 1;
        return n + newlineCount(run, kept) <= tokens;
    };
    int low = 0;
    int high = std::min(tokens, static_cast<int>(order.size()));
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (fits(middle))
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/// parent, tree, depth, role and edge after the first `links` root merges.
void linkForest(const TokenRun& run, std::size_t links, ForestCut& cut) {
    const std::size_t nodes = run.nodeCell.size();
    cut.parent = run.nodeParent;
    cut.edge.assign(nodes, EdgeKind::None);
    for (std::size_t i = 0; i < nodes; ++i)
        if (cut.parent[i] >= 0)
            cut.edge[i] = EdgeKind::Track;
    for (std::size_t i = 0; i < links; ++i) {
        const auto child = static_cast<std::size_t>(run.merges[i].child);
        cut.parent[child] = run.merges[i].parent;
        cut.edge[child] = EdgeKind::RootLink;
    }
    cut.tree.resize(nodes);
    cut.depth.resize(nodes);
    cut.role.assign(nodes, NodeRole::Root);
    // Parents stand before their children, so one pass is enough.
    for (std::size_t i = 0; i < nodes; ++i) {
        if (cut.parent[i] < 0) {
            cut.tree[i] = run.nodeTree[i];
            cut.depth[i] = 0;
            continue;
        }
        const auto parent = static_cast<std::size_t>(cut.parent[i]);
        cut.tree[i] = cut.tree[parent];
        cut.depth[i] = cut.depth[parent] + 1;
        cut.role[i] = NodeRole::Leaf;
        if (cut.role[parent] == NodeRole::Leaf)
            cut.role[parent] = NodeRole::Trunk;
    }
}

} // namespace

std::string_view nodeRoleName(NodeRole v) {
    constexpr std::string_view kNames[] = {"root", "trunk", "leaf"};
    return kNames[static_cast<std::size_t>(v)];
}
std::string_view edgeKindName(EdgeKind v) {
    constexpr std::string_view kNames[] = {"none", "track", "root_link"};
    return kNames[static_cast<std::size_t>(v)];
}

int newlineCount(const TokenRun& run, const std::vector<std::uint8_t>& keptCell) {
    const NewlinePolicy policy = run.settings.newlines;
    assert(policy != NewlinePolicy::Auto);
    if (run.hostNewlines == HostNewlines::None || policy == NewlinePolicy::None)
        return 0;
    if (run.hostNewlines == HostNewlines::OneToken)
        return 1;
    const bool perRow = run.hostNewlines == HostNewlines::Grid;
    if (policy == NewlinePolicy::PerFrame)
        return run.frames;
    if (policy == NewlinePolicy::AllRows)
        return perRow ? run.frames * run.rows : run.frames;
    const std::ptrdiff_t span = perRow ? run.columns : run.rows * run.columns;
    int count = 0;
    for (auto it = keptCell.begin(); it != keptCell.end(); it += span)
        count += std::any_of(it, it + span, [](std::uint8_t kept) { return kept != 0; });
    return count;
}

int tokenBudget(const TokenRun& run, double keep) {
    const int limit = run.candidates;
    int budget = isForest(run) ? roundHalfEven(limit * keep / run.settings.candidateShare)
                               : roundHalfEven(run.cells() * keep);
    budget = std::min(budget, limit);
    if (run.settings.accounting == BudgetAccounting::AllTokens) {
        if (!run.priority.empty())
            budget = longestPrefix(run, keepingOrder(run), budget);
        else
            budget -= newlineCount(run, run.kept);
    }
    return std::max(budget, 1);
}

ForestCut cutAt(const TokenRun& run, int budget) {
    ForestCut cut;
    if (run.priority.empty()) {
        assert(budget == run.budget);
        cut.budget = run.budget;
        cut.keptCell = run.kept;
    } else {
        cut.budget = std::clamp(budget, 0, run.candidates);
        cut.keptCell.resize(run.priority.size());
        for (std::size_t cell = 0; cell < cut.keptCell.size(); ++cell)
            cut.keptCell[cell] = run.priority[cell] >= 0 && run.priority[cell] < cut.budget;
    }
    cut.keptPerFrame.assign(static_cast<std::size_t>(run.frames), 0);
    const std::size_t perFrame = static_cast<std::size_t>(run.rows) * static_cast<std::size_t>(run.columns);
    int kept = 0;
    for (std::size_t cell = 0; cell < cut.keptCell.size(); ++cell) {
        cut.keptPerFrame[cell / perFrame] += cut.keptCell[cell];
        kept += cut.keptCell[cell];
    }
    // Inside the language model newlines go with the cells; what it was given is known.
    const bool inside = tokenModeInfo(run.settings.mode).insideModel;
    cut.newlines = inside ? run.keptNewlines : newlineCount(run, cut.keptCell);
    cut.modelTokens = inside ? run.modelTokens : kept + cut.newlines;
    if (run.nodeCell.empty())
        return cut;
    const auto links =
        static_cast<std::size_t>(std::clamp(run.roots - cut.budget, 0, static_cast<int>(run.merges.size())));
    cut.roots = run.roots - static_cast<int>(links);
    cut.regime = run.roots > cut.budget ? TokenRun::Regime::Roots : TokenRun::Regime::Fill;
    linkForest(run, links, cut);
    return cut;
}

} // namespace canopy
