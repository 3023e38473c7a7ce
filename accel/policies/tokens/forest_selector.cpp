#include "accel/policies/tokens/forest_selector.h"

#include <algorithm>

#include "accel/policies/tokens/forest_order.h"
#include "accel/policies/tokens/gprune_candidates.h"
#include "accel/policies/tokens/root_merging.h"
#include "accel/policies/tokens/token_forest.h"
#include "accel/policies/tokens/token_selection.h"
#include "accel/runtime/cancelled.h"
#include "core/base/clock.h"

namespace canopy::accel {
namespace {

/// Fills the run's nodes; the candidates stand in forest.cell.
void describe(TokenRun& run, TokenForest forest, std::vector<TokenRun::Merge> merges) {
    std::fill(run.candidate.begin(), run.candidate.end(), std::uint8_t{0});
    for (const std::int32_t cell : forest.cell)
        run.candidate[static_cast<std::size_t>(cell)] = 1;
    run.candidates = static_cast<int>(forest.cell.size());
    run.roots = static_cast<int>(forest.roots.size());
    run.nodeCell = std::move(forest.cell);
    run.nodeTree = std::move(forest.tree);
    run.nodeParent = std::move(forest.parent);
    run.nodeParentSimilarity = std::move(forest.parentSimilarity);
    run.nodeMatch = std::move(forest.match);
    run.nodeMatchSimilarity = std::move(forest.matchSimilarity);
    run.nodeDepth = std::move(forest.depth);
    run.merges = std::move(merges);
}

std::vector<std::int32_t> nodeOrder(TokenMode mode, const TokenForest& forest,
                                    const std::vector<TokenRun::Merge>& merges, std::int64_t perFrame) {
    switch (mode) {
    case TokenMode::ForestPaper:
        return paperOrder(forest, merges, perFrame);
    case TokenMode::ForestBalanced:
        return balancedOrder(forest, merges, perFrame);
    default:
        return codeOrder(forest, merges, perFrame);
    }
}

} // namespace

TokenSelection ForestSelector::select(const VideoTokens& video, const std::stop_token& stop) {
    const double begin = steadySeconds();
    TokenRun run = startRun(m_settings, video);
    const int perFrame = candidatesPerFrame(video.rows * video.columns, m_settings.candidateShare);
    const FrameCandidates candidates = gpruneCandidates(video.features, perFrame);
    const double candidatesDone = steadySeconds();

    ForestRule rule;
    rule.parents = m_settings.mode == TokenMode::ForestCode ? ParentRule::TreeTail : ParentRule::BestMatch;
    rule.semanticThreshold = m_settings.semanticThreshold;
    rule.spatialThreshold = m_settings.spatialThreshold;
    TokenForest forest = buildForest(video.features, candidates.cells, video.rows, video.columns, rule, stop);
    const double forestDone = steadySeconds();

    auto merges = eliminateRoots(forest, stop);
    const double mergeDone = steadySeconds();

    std::vector<std::int32_t> order = nodeOrder(m_settings.mode, forest, merges, perFrame);
    for (std::int32_t& node : order)
        node = forest.cell[static_cast<std::size_t>(node)];
    describe(run, std::move(forest), std::move(merges));
    run.candidateScore = toHost(candidates.scores);
    if (m_settings.mode == TokenMode::ForestBalanced)
        addNote(run, "The balanced forest is a variant of Canopy's, not ForestPrune.");
    if (m_settings.keep > m_settings.candidateShare)
        addNote(run, "More tokens are to be kept than there are candidates, so all candidates are kept; "
                     "raise the share of candidates to keep more.");
    TokenSelection selection = keepInOrder(std::move(run), order, video.features.device());
    TokenRun& done = selection.run;
    done.regime = done.roots > done.budget ? TokenRun::Regime::Roots : TokenRun::Regime::Fill;
    done.candidateSeconds = candidatesDone - begin;
    done.forestSeconds = forestDone - candidatesDone;
    done.mergeSeconds = mergeDone - forestDone;
    done.selectSeconds = steadySeconds() - begin;
    return selection;
}

TokenSelection GPruneSelector::select(const VideoTokens& video, const std::stop_token& stop) {
    const double begin = steadySeconds();
    throwIfStopped(stop);
    TokenRun run = startRun(m_settings, video);
    const std::int64_t cells = std::int64_t{video.rows} * video.columns;
    const FrameCandidates candidates = gpruneCandidates(video.features, static_cast<int>(cells));
    run.candidateScore = toHost(candidates.scores);
    const auto ranked = candidates.ranked.to(at::kCPU).contiguous();
    const auto* best = ranked.const_data_ptr<std::int64_t>();
    std::vector<std::int32_t> order;
    for (std::int64_t rank = 0; rank < cells; ++rank)
        for (std::int64_t frame = 0; frame < video.frames; ++frame)
            order.push_back(static_cast<std::int32_t>(frame * cells + best[frame * cells + rank]));
    TokenSelection selection = keepInOrder(std::move(run), order, video.features.device());
    selection.run.selectSeconds = steadySeconds() - begin;
    selection.run.candidateSeconds = selection.run.selectSeconds;
    return selection;
}

} // namespace canopy::accel
