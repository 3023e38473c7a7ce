#pragma once

#include <algorithm>
#include <memory>
#include <numeric>

#include "core/job/token_run.h"
#include "core/studio/ask_view.h"

/// Hand-made runs and answers for the tests of the Ask workspace: arithmetically consistent, from no model.
namespace canopy::ui::test {

/// Rank of each cell: roots by id, then other nodes by depth, frame and cell (token-forest.md 2.11).
inline void rankCells(TokenRun& run) {
    std::vector<int> order(run.nodeCell.size());
    std::iota(order.begin(), order.end(), 0);
    const auto root = [&](int n) { return run.nodeParent[std::size_t(n)] < 0; };
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
        if (root(a) != root(b))
            return root(a);
        return !root(a) && run.nodeDepth[std::size_t(a)] < run.nodeDepth[std::size_t(b)];
    });
    run.priority.assign(std::size_t(run.cells()), -1);
    for (std::size_t rank = 0; rank < order.size(); ++rank)
        run.priority[std::size_t(run.nodeCell[std::size_t(order[rank])])] = std::int32_t(rank);
}

/// A forest over `frames` x side x side cells: each frame's candidates are a moving half of its cells; a
/// candidate goes on the tree of the one that had its place in the list, every `cutEvery`-th starts a tree.
inline TokenRun madeRun(int frames = 8, int side = 14, double keep = 0.1, int cutEvery = 61) {
    TokenRun run;
    run.settings.mode = TokenMode::ForestBalanced;
    run.settings.keep = keep;
    run.settings.newlines = NewlinePolicy::NonEmptyRows;
    run.settings.positions = PositionPolicy::Repacked;
    run.frames = frames;
    run.rows = run.columns = side;
    run.featureWidth = 320;
    const int perFrame = side * side, half = perFrame / 2;
    for (int f = 0; f < frames; ++f) {
        run.frameIndex.push_back(f * 9);
        run.frameSeconds.push_back(f * 9 / 16.0);
    }
    run.candidate.assign(std::size_t(run.cells()), 0);
    for (int f = 0; f < frames; ++f) {
        for (int i = 0; i < half; ++i) {
            // A block in the upper left and scattered cells, shifted by one column a frame.
            const int place = (i * 2 + (i * 2 / side) % 2 + f) % perFrame;
            run.candidate[std::size_t(f * perFrame + place)] = 1;
        }
        int seen = int(
            std::count(run.candidate.begin() + f * perFrame, run.candidate.begin() + (f + 1) * perFrame, 1));
        for (int c = 0; c < perFrame && seen < half; ++c)
            if (auto& cell = run.candidate[std::size_t(f * perFrame + c)]; !cell) {
                cell = 1;
                ++seen;
            }
    }
    run.candidates = half * frames;
    for (int f = 0; f < frames; ++f) {
        int local = 0;
        for (int c = 0; c < perFrame; ++c) {
            if (!run.candidate[std::size_t(f * perFrame + c)])
                continue;
            const int node = int(run.nodeCell.size());
            run.nodeCell.push_back(f * perFrame + c);
            const bool root = f == 0 || (f * half + local) % cutEvery == 0;
            const int parent = root ? -1 : (f - 1) * half + local;
            run.nodeParent.push_back(parent);
            run.nodeTree.push_back(root ? node : run.nodeTree[std::size_t(parent)]);
            run.nodeDepth.push_back(root ? 0 : run.nodeDepth[std::size_t(parent)] + 1);
            run.nodeParentSimilarity.push_back(root ? 0 : 0.9F + 0.01F * float(local % 9));
            run.nodeMatch.push_back(parent);
            run.nodeMatchSimilarity.push_back(root ? 0 : 0.95F);
            run.roots += root;
            ++local;
        }
    }
    std::vector<int> roots;
    for (std::size_t n = 0; n < run.nodeParent.size(); ++n)
        if (run.nodeParent[n] < 0)
            roots.push_back(int(n));
    for (std::size_t i = roots.size() - 1; i > 0; --i)
        run.merges.push_back({roots[i], roots[i / 2], 0.8F});
    rankCells(run);
    run.budget = tokenBudget(run, keep);
    run.regime = run.roots > run.budget ? TokenRun::Regime::Roots : TokenRun::Regime::Fill;
    run.kept = cutAt(run, run.budget).keptCell;
    run.keptCells = int(std::count(run.kept.begin(), run.kept.end(), 1));
    run.keptNewlines = newlineCount(run, run.kept);
    run.modelTokens = run.keptCells + run.keptNewlines;
    return run;
}

/// All cells kept.
inline TokenRun madeUnprunedRun(const TokenRun& like) {
    TokenRun run;
    run.settings.mode = TokenMode::All;
    run.settings.newlines = NewlinePolicy::AllRows;
    run.frames = like.frames;
    run.rows = like.rows;
    run.columns = like.columns;
    run.frameIndex = like.frameIndex;
    run.frameSeconds = like.frameSeconds;
    run.budget = run.candidates = run.keptCells = run.cells();
    run.candidate.assign(std::size_t(run.cells()), 1);
    run.kept = run.candidate;
    run.keptNewlines = 1;
    run.modelTokens = run.keptCells + 1;
    return run;
}

inline AskView madeAsk(JobId id, const std::string& question, const std::string& text,
                       std::shared_ptr<const TokenRun> run, const std::string& video = "/clips/reef.mp4") {
    AskView ask;
    ask.id = id;
    ask.state = JobState::Done;
    ask.request.videoPath = video;
    ask.request.question = question;
    ask.request.modelId = "starter-qa";
    ask.request.frames = run->frames;
    ask.request.tokens = run->settings;
    ask.request.videoSeconds = 4;
    ask.words = "Done";
    ask.text = text;
    ask.run = run;
    Answer answer;
    answer.request = ask.request;
    answer.text = text;
    answer.frames = run->frames;
    answer.cells = run->cells();
    answer.videoTokens = run->modelTokens;
    answer.unprunedTokens = run->cells() + 1;
    answer.promptTokens = run->modelTokens + 30;
    const double share = double(answer.promptTokens) / (run->cells() + 31);
    answer.visionSeconds = 0.65;
    answer.prefillSeconds = 0.05 + 0.36 * share;
    answer.firstWordSeconds = answer.visionSeconds + answer.prefillSeconds;
    answer.kvBytes = std::uint64_t(answer.promptTokens) * 1536;
    answer.prefillFlop = 2.0 * answer.promptTokens * 6.6e6;
    ask.answer = std::move(answer);
    return ask;
}

} // namespace canopy::ui::test
