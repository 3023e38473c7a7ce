#include "core/job/token_run_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

namespace canopy {
namespace {

class RunCheck {
public:
    explicit RunCheck(const TokenRun& run)
        : m_run(run)
        , m_cells(static_cast<std::size_t>(run.cells()))
        , m_nodes(run.nodeCell.size()) {}

    std::string problem() {
        checkNumbers();
        checkCells();
        if (m_problem.empty())
            checkNodes();
        if (m_problem.empty())
            checkMerges();
        return m_problem;
    }

private:
    void require(bool holds, std::string_view sentence) {
        if (!holds && m_problem.empty())
            m_problem = sentence;
    }
    template <typename T>
    void requireSize(const std::vector<T>& array, std::size_t size, bool mayBeEmpty, std::string_view name) {
        require(array.size() == size || (mayBeEmpty && array.empty()),
                "\"" + std::string(name) + "\" has " + std::to_string(array.size()) + " entries instead of " +
                    std::to_string(size));
    }
    template <typename T>
    void requireRange(const std::vector<T>& array, std::int64_t low, std::int64_t end,
                      std::string_view name) {
        require(std::all_of(array.begin(), array.end(), [&](T item) { return item >= low && item < end; }),
                "\"" + std::string(name) + "\" has an entry outside " + std::to_string(low) + " to " +
                    std::to_string(end - 1));
    }
    void requireFinite(const std::vector<float>& array, std::string_view name) {
        require(std::all_of(array.begin(), array.end(), [](float item) { return std::isfinite(item); }),
                "\"" + std::string(name) + "\" has an entry that is no number");
    }

    void checkNumbers() {
        const TokenRun& r = m_run;
        const auto frames = static_cast<std::size_t>(r.frames);
        requireSize(r.frameIndex, frames, true, "frame_index");
        requireSize(r.frameSeconds, frames, true, "frame_seconds");
        const int cells = r.cells();
        require(r.featureWidth >= 0, "\"feature_width\" is negative");
        require(r.candidates >= 0 && r.candidates <= cells, "\"candidates\" is not a number of cells");
        require(r.budget >= 0 && r.budget <= cells, "\"budget\" is not a number of cells");
        require(r.keptCells >= 0 && r.keptCells <= cells, "\"kept_cells\" is not a number of cells");
        require(r.keptNewlines >= 0 && r.keptNewlines <= cells, "\"kept_newlines\" is not a number of rows");
        require(r.modelTokens == r.keptCells + r.keptNewlines,
                "\"model_tokens\" is not the sum of cells and newlines");
        require(r.roots >= 0 && static_cast<std::size_t>(r.roots) <= m_nodes, "\"roots\" exceeds the nodes");
        requireRange(r.layerTokens, 0, std::numeric_limits<int>::max(), "layer_tokens");
    }
    void checkCells() {
        const TokenRun& r = m_run;
        requireSize(r.candidate, m_cells, false, "candidate");
        requireSize(r.candidateScore, m_cells, true, "score");
        requireSize(r.priority, m_cells, true, "priority");
        requireSize(r.kept, m_cells, false, "kept");
        requireSize(r.mergedInto, m_cells, true, "merged_into");
        requireRange(r.candidate, 0, 2, "candidate");
        requireRange(r.kept, 0, 2, "kept");
        requireRange(r.priority, -1, r.candidates, "priority");
        requireRange(r.mergedInto, -1, r.cells(), "merged_into");
        requireFinite(r.candidateScore, "score");
        if (!m_problem.empty() || r.priority.empty())
            return;
        std::vector<bool> seen(static_cast<std::size_t>(r.candidates));
        for (const std::int32_t rank : r.priority) {
            if (rank < 0)
                continue;
            require(!seen[static_cast<std::size_t>(rank)], "\"priority\" holds a rank twice");
            seen[static_cast<std::size_t>(rank)] = true;
        }
        require(std::find(seen.begin(), seen.end(), false) == seen.end(), "\"priority\" lacks a rank");
    }
    void checkNodes() {
        const TokenRun& r = m_run;
        requireSize(r.nodeTree, m_nodes, false, "tree");
        requireSize(r.nodeParent, m_nodes, false, "parent");
        requireSize(r.nodeParentSimilarity, m_nodes, false, "parent_similarity");
        requireSize(r.nodeMatch, m_nodes, false, "match");
        requireSize(r.nodeMatchSimilarity, m_nodes, false, "match_similarity");
        requireSize(r.nodeDepth, m_nodes, false, "depth");
        requireRange(r.nodeCell, 0, r.cells(), "cell");
        requireRange(r.nodeTree, 0, r.roots, "tree");
        requireRange(r.nodeDepth, 0, std::max(r.frames, 1), "depth");
        requireFinite(r.nodeParentSimilarity, "parent_similarity");
        requireFinite(r.nodeMatchSimilarity, "match_similarity");
        if (!m_problem.empty())
            return;
        int roots = 0;
        for (std::size_t i = 0; i < m_nodes; ++i) {
            require(i == 0 || r.nodeCell[i - 1] < r.nodeCell[i], "\"cell\" of \"nodes\" is not ascending");
            require(r.candidate[static_cast<std::size_t>(r.nodeCell[i])] == 1,
                    "a node stands on a cell that is no candidate");
            for (const std::int32_t other : {r.nodeParent[i], r.nodeMatch[i]})
                require(other >= -1 && other < static_cast<std::int64_t>(i),
                        "a node's parent or match does not stand before it");
            roots += r.nodeParent[i] < 0;
        }
        require(roots == r.roots, "\"roots\" is not the number of nodes without a parent");
    }
    void checkMerges() {
        const TokenRun& r = m_run;
        std::vector<bool> gone(m_nodes);
        const auto isStandingRoot = [&](std::int32_t node) {
            return node >= 0 && static_cast<std::size_t>(node) < m_nodes &&
                   r.nodeParent[static_cast<std::size_t>(node)] < 0 && !gone[static_cast<std::size_t>(node)];
        };
        for (const auto& merge : r.merges) {
            if (!isStandingRoot(merge.child) || !isStandingRoot(merge.parent) ||
                merge.parent >= merge.child || !std::isfinite(merge.similarity)) {
                require(false, "a merge does not link two standing roots, the later to the earlier");
                return;
            }
            gone[static_cast<std::size_t>(merge.child)] = true;
        }
    }

    const TokenRun& m_run;
    std::size_t m_cells;
    std::size_t m_nodes;
    std::string m_problem;
};

} // namespace

std::string tokenRunProblem(const TokenRun& run) {
    return RunCheck(run).problem();
}

} // namespace canopy
