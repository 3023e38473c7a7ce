#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/formats/qa_model.h"
#include "core/job/ask_request.h"

namespace canopy {

/// What one token selection did: everything that the views of the Ask workspace, the exports and the tests
/// are drawn from (token-forest.md 7). A cell is (frame, row, column), index (frame * rows + row) * columns +
/// column. A node is a candidate of a forest; nodes are in cell order.
struct TokenRun {
    static constexpr int kVersion = 1;
    enum class Regime : std::uint8_t { None, Roots, Fill }; ///< R > K, R <= K; None without a forest

    TokenSettings settings; ///< no field at Auto
    int frames = 0;
    int rows = 0;
    int columns = 0;
    int featureWidth = 0;
    HostNewlines hostNewlines = HostNewlines::OneToken; ///< where the host puts newlines
    std::vector<std::int64_t> frameIndex;               ///< in the video
    std::vector<double> frameSeconds;

    int budget = 0;     ///< K: cells that may stay
    int candidates = 0; ///< over all frames; all cells for modes without a candidate step
    int roots = 0;      ///< R before merging; 0 without a forest
    Regime regime = Regime::None;
    int keptCells = 0; ///< given to the language model's first layer, newlines not counted
    int keptNewlines = 0;
    int modelTokens = 0; ///< keptCells + keptNewlines
    /// Tokens of the whole sequence (text included) in each language-model layer's KV cache, for modes that
    /// shorten it inside; empty otherwise.
    std::vector<int> layerTokens;

    // ---- per cell [frames * rows * columns]
    std::vector<std::uint8_t> candidate;
    std::vector<float> candidateScore; ///< G-Prune; empty without
    std::vector<std::int32_t>
        priority;                   ///< rank in the order of keeping; -1 = never kept. Empty unless nested
    std::vector<std::uint8_t> kept; ///< after the last layer, for modes that shorten the sequence inside
    std::vector<std::int32_t>
        mergedInto; ///< kept cell that this one was merged into, -1 = none; empty unless merging

    // ---- per node of the forest, empty without one
    std::vector<std::int32_t> nodeCell;
    std::vector<std::int32_t> nodeTree;
    std::vector<std::int32_t> nodeParent;    ///< before root merging; -1 = root
    std::vector<float> nodeParentSimilarity; ///< cosine with the parent; 0 for roots
    std::vector<std::int32_t> nodeMatch;     ///< the member that matched, -1 = none
    std::vector<float> nodeMatchSimilarity;
    std::vector<std::int32_t> nodeDepth; ///< before root merging
    struct Merge {
        std::int32_t child;  ///< node, a root until then
        std::int32_t parent; ///< node
        float similarity;
        bool operator==(const Merge&) const = default;
    };
    /// The whole elimination order of roots down to one; a cut at K < R uses the first R - K of it.
    std::vector<Merge> merges;

    std::vector<std::string> notes; ///< what differs from the published method and why, as sentences
    double selectSeconds = 0;
    double candidateSeconds = 0, forestSeconds = 0, mergeSeconds = 0; ///< shares of it; 0 where not run

    int cells() const { return frames * rows * columns; }
    bool operator==(const TokenRun&) const = default;
};

/// K = round_half_even(total * keep / rho) limited to the candidates, as token-forest.md 2.4 (forests), or
/// round_half_even(keep * cells) for other modes; at least 1. With accounting AllTokens the newlines that
/// will stay are taken off: the largest prefix of the priority order whose cells and newlines are at most K;
/// for modes without such an order K less the newlines of the run's own cells.
int tokenBudget(const TokenRun& run, double keep);

/// Newlines that the run's host and newline policy (not Auto) leave beside the cells marked in `keptCell`
/// [cells]. On a host with one in each row, PerFrame leaves that of each frame's last row. On a host with one
/// after each frame, NonEmptyRows leaves those of frames that keep a cell.
int newlineCount(const TokenRun& run, const std::vector<std::uint8_t>& keptCell);

enum class NodeRole : std::uint8_t { Root, Trunk, Leaf };
enum class EdgeKind : std::uint8_t { None, Track, RootLink };

std::string_view nodeRoleName(NodeRole v); ///< "root", "trunk", "leaf"
std::string_view edgeKindName(EdgeKind v); ///< "none", "track", "root_link"

/// The forest as it stands at a cut of `budget` cells: after root merging where R > K.
struct ForestCut {
    int budget = 0;
    int roots = 0; ///< trees that remain
    TokenRun::Regime regime = TokenRun::Regime::None;
    std::vector<std::uint8_t> keptCell; ///< [cells]
    std::vector<std::int32_t> parent;   ///< [nodes], after merging
    std::vector<std::int32_t> tree;     ///< [nodes], root node's tree
    std::vector<std::int32_t> depth;    ///< [nodes]
    std::vector<NodeRole> role;         ///< [nodes]
    std::vector<EdgeKind> edge;         ///< [nodes], of the edge to the parent
    std::vector<int> keptPerFrame;      ///< [frames]
    int newlines = 0;                   ///< that stay beside these cells
    int modelTokens = 0;                ///< kept cells and newlines
};
/// For nested modes any budget; for others `budget` must be the run's own. Without a forest only keptCell and
/// keptPerFrame are filled.
ForestCut cutAt(const TokenRun& run, int budget);

/// Arrays as little-endian bytes in CBOR ("cells": {...}, "nodes": {...}); plain arrays in JSON.
Value toValue(const TokenRun& run);
/// Reads arrays in either form. Every array's length, every index and every enumeration is checked.
Result<TokenRun> tokenRunFromValue(const Value& value);
/// The run as it is exported: JSON with plain arrays and the forest at the run's own cut, and CSV with one
/// line per cell.
std::string tokenRunJson(const TokenRun& run);
std::string tokenRunCsv(const TokenRun& run);

} // namespace canopy
