#include "tests/support/fake_tokens.h"

#include <algorithm>
#include <cmath>

namespace canopy::test {

TokenRun fakeTokenRun(const AskRequest& request) {
    constexpr int kSide = 4;
    constexpr int kCells = kSide * kSide;
    TokenRun run;
    run.settings = request.tokens;
    run.settings.newlines = NewlinePolicy::AllRows;
    run.settings.positions = PositionPolicy::Repacked;
    run.frames = std::max(1, static_cast<int>(request.frameIndex.size()));
    run.rows = run.columns = kSide;
    run.featureWidth = 8;
    run.frameIndex = request.frameIndex;
    run.frameSeconds = request.frameSeconds;
    run.frameIndex.resize(static_cast<std::size_t>(run.frames));
    run.frameSeconds.resize(static_cast<std::size_t>(run.frames));
    const int cells = run.cells();
    run.budget = static_cast<int>(std::lround(request.tokens.keep * cells));
    run.candidates = cells;
    run.roots = kCells;
    run.regime = run.roots > run.budget ? TokenRun::Regime::Roots : TokenRun::Regime::Fill;
    run.keptCells = run.budget;
    run.keptNewlines = 1;
    run.modelTokens = run.keptCells + 1;
    for (int cell = 0; cell < cells; ++cell) {
        const bool root = cell < kCells;
        run.candidate.push_back(1);
        run.candidateScore.push_back(1);
        run.priority.push_back(cell);
        run.kept.push_back(cell < run.budget ? 1 : 0);
        run.nodeCell.push_back(cell);
        run.nodeTree.push_back(cell % kCells);
        run.nodeParent.push_back(root ? -1 : cell - kCells);
        run.nodeParentSimilarity.push_back(root ? 0.0f : 0.95f);
        run.nodeMatch.push_back(root ? -1 : cell - kCells);
        run.nodeMatchSimilarity.push_back(root ? 0.0f : 0.95f);
        run.nodeDepth.push_back(cell / kCells);
    }
    for (int child = kCells - 1; child > 0; --child)
        run.merges.push_back({child, 0, 0.5f});
    run.selectSeconds = 0.001;
    return run;
}

} // namespace canopy::test
