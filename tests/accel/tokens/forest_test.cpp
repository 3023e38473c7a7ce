// Invariants of token-forest.md 2.13 and the three forests against the description written out naively.

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/randperm.h>

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "accel/policies/tokens/counter_random.h"
#include "accel/policies/tokens/gprune_candidates.h"
#include "accel/policies/tokens/token_forest.h"
#include "accel/policies/tokens/token_policies.h"
#include "accel/policies/tokens/token_selection.h"
#include "tests/accel/tokens/published_forest.h"
#include "tests/accel/tokens/synthetic_video.h"

using namespace canopy;
using namespace canopy::accel;
using namespace canopy::test;

namespace {

const std::vector<TokenMode> kForests = {TokenMode::ForestCode, TokenMode::ForestPaper,
                                         TokenMode::ForestBalanced};

TokenSettings settingsOf(TokenMode mode, double keep = 0.25) {
    TokenSettings settings;
    settings.mode = mode;
    settings.keep = keep;
    settings.semanticThreshold = 0.85;
    settings.spatialThreshold = 0.6;
    return settings;
}

TokenRun runOf(const VideoTokens& video, const TokenSettings& settings) {
    return makeTokenPolicy(settings).selector->select(video, {}).run;
}

std::vector<std::int32_t> keptCells(const std::vector<std::uint8_t>& kept) {
    std::vector<std::int32_t> cells;
    for (std::size_t cell = 0; cell < kept.size(); ++cell)
        if (kept[cell])
            cells.push_back(static_cast<std::int32_t>(cell));
    return cells;
}

TokenRun withoutTimes(TokenRun run) {
    run.selectSeconds = run.candidateSeconds = run.forestSeconds = run.mergeSeconds = 0;
    return run;
}

void checkInvariants(const TokenRun& run) {
    const TokenSettings& s = run.settings;
    const int total = run.candidates;
    // (a) kept count
    const int K = std::min(static_cast<int>(std::nearbyint(total * s.keep / s.candidateShare)), total);
    CHECK(run.budget == std::max(K, 1));
    CHECK(run.keptCells == run.budget);
    const ForestCut cut = cutAt(run, run.budget);
    CHECK(cut.keptCell == run.kept);
    int sum = 0;
    for (const int kept : cut.keptPerFrame)
        sum += kept;
    CHECK(sum == run.budget);
    // (b) kept cells are candidates
    int candidates = 0;
    for (std::size_t cell = 0; cell < run.kept.size(); ++cell) {
        CHECK(run.kept[cell] <= run.candidate[cell]);
        candidates += run.candidate[cell];
    }
    CHECK(candidates == total);
    // (c) parents first, also in time unless linked; (d) depths
    const int perFrame = run.rows * run.columns;
    for (std::size_t i = 0; i < run.nodeCell.size(); ++i) {
        const std::int32_t parent = cut.parent[i];
        CHECK(parent < static_cast<std::int32_t>(i));
        if (parent < 0) {
            CHECK(cut.depth[i] == 0);
            continue;
        }
        const auto p = static_cast<std::size_t>(parent);
        CHECK(cut.depth[i] == cut.depth[p] + 1);
        CHECK(cut.tree[i] == cut.tree[p]);
        if (cut.edge[i] == EdgeKind::Track)
            CHECK(run.nodeCell[p] / perFrame < run.nodeCell[i] / perFrame);
    }
    // (e) too many roots: the survivors and nothing else; (f) otherwise all roots
    CHECK(run.regime == (run.roots > run.budget ? TokenRun::Regime::Roots : TokenRun::Regime::Fill));
    CHECK(cut.roots == std::min(run.roots, run.budget));
    CHECK(static_cast<int>(run.merges.size()) == std::max(run.roots - 1, 0));
    for (std::size_t i = 0; i < run.nodeCell.size(); ++i) {
        const bool kept = run.kept[static_cast<std::size_t>(run.nodeCell[i])] != 0;
        if (run.regime == TokenRun::Regime::Roots)
            CHECK(kept == (cut.parent[i] < 0));
        else if (run.nodeParent[i] < 0)
            CHECK(kept);
    }
    // Readable again, which checks every index once more.
    const auto again = tokenRunFromValue(toValue(run));
    REQUIRE_MESSAGE(again.ok(), again.error().message);
    CHECK(*again == run);
}

std::vector<std::vector<int>> candidatesOf(const TokenRun& run) {
    std::vector<std::vector<int>> cells(static_cast<std::size_t>(run.frames));
    const int perFrame = run.rows * run.columns;
    for (const std::int32_t cell : run.nodeCell)
        cells[static_cast<std::size_t>(cell / perFrame)].push_back(cell % perFrame);
    return cells;
}

} // namespace

TEST_CASE("every forest keeps its invariants on every kind of video") {
    for (const Motion motion : allMotions()) {
        for (const TokenMode mode : kForests) {
            CAPTURE(motionName(motion));
            CAPTURE(tokenModeName(mode));
            for (std::uint64_t seed = 0; seed < 3; ++seed) {
                SyntheticSize size;
                size.frames = seed == 1 ? 2 : 7;
                size.columns = seed == 2 ? 4 : 6;
                const VideoTokens video = syntheticVideo(motion, seed, size);
                std::vector<std::uint8_t> wider(static_cast<std::size_t>(size.frames * 6 * size.columns), 1);
                for (const double keep : {1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.001}) {
                    const TokenRun run = runOf(video, settingsOf(mode, keep));
                    checkInvariants(run);
                    for (std::size_t cell = 0; cell < wider.size(); ++cell) // (g) nested
                        CHECK(run.kept[cell] <= wider[cell]);
                    wider = run.kept;
                }
            }
        }
    }
}

TEST_CASE("a single frame is a forest of roots") {
    SyntheticSize size;
    size.frames = 1;
    for (const TokenMode mode : kForests) {
        const TokenRun run = runOf(syntheticVideo(Motion::Object, 3, size), settingsOf(mode));
        CHECK(run.roots == run.candidates);
        checkInvariants(run);
    }
}

TEST_CASE("frames that repeat exactly add no root") {
    SyntheticSize size;
    size.frames = 1;
    VideoTokens video = syntheticVideo(Motion::Static, 5, size);
    video.frames = 5;
    video.features = video.features.repeat({5, 1, 1});
    for (const TokenMode mode : kForests) {
        TokenSettings settings = settingsOf(mode);
        settings.semanticThreshold = 0.999;
        const TokenRun run = runOf(video, settings);
        CHECK(run.roots == run.candidates / 5);
        checkInvariants(run);
    }
}

TEST_CASE("nothing resembles anything: all are roots, and ties go to the earliest") {
    VideoTokens video;
    video.frames = 3;
    video.rows = video.columns = 3;
    video.features = (at::eye(27) * at::arange(1, 28)).view({3, 9, 27});
    for (const TokenMode mode : kForests) {
        TokenSettings settings = settingsOf(mode, 1);
        settings.candidateShare = 1;
        const TokenRun run = runOf(video, settings);
        CHECK(run.roots == 27);
        checkInvariants(run);
        for (std::size_t i = 0; i < run.merges.size(); ++i) {
            CHECK(run.merges[i].parent == 0);
            CHECK(run.merges[i].child == static_cast<std::int32_t>(i) + 1);
        }
    }
}

TEST_CASE("keeping as many as there are candidates keeps the candidates") {
    const VideoTokens video = syntheticVideo(Motion::Cuts, 8);
    for (const TokenMode mode : kForests) {
        TokenSettings settings = settingsOf(mode, 0.4);
        settings.candidateShare = 0.4;
        const TokenRun run = runOf(video, settings);
        CHECK(run.kept == run.candidate);
        settings.keep = 0.9;
        CHECK(runOf(video, settings).kept == run.candidate);
        CHECK(!runOf(video, settings).notes.empty());
    }
}

TEST_CASE("keeping all of all candidates is the unpruned sequence bit for bit") {
    const VideoTokens video = syntheticVideo(Motion::Pan, 9);
    const auto flat = video.features.flatten(0, 1);
    for (const NewlineMode host :
         {NewlineMode::OneToken, NewlineMode::Grid, NewlineMode::Frame, NewlineMode::None}) {
        TokenSelection all = makeTokenPolicy({}).selector->select(video, {});
        const TokenLayout unpruned = layoutTokens(all, host);
        for (const TokenMode mode : kForests) {
            TokenSettings settings = settingsOf(mode, 1);
            settings.candidateShare = 1;
            TokenSelection selection = makeTokenPolicy(settings).selector->select(video, {});
            const TokenLayout layout = layoutTokens(selection, host);
            CHECK(layout.source.equal(unpruned.source));
            CHECK(layout.positions.equal(unpruned.positions));
            CHECK(layout.videoIndex.equal(unpruned.videoIndex));
            CHECK(!selection.features.defined());
            CHECK(flat.index_select(0, selection.kept).equal(flat));
        }
    }
}

TEST_CASE("the order of frames matters, the order of channels does not") {
    const VideoTokens video = syntheticVideo(Motion::Drift, 10);
    VideoTokens channels = video;
    channels.features = video.features.flip({2});
    VideoTokens reversed = video;
    reversed.features = video.features.flip({0});
    for (const TokenMode mode : kForests) {
        const TokenRun run = runOf(video, settingsOf(mode));
        CHECK(runOf(channels, settingsOf(mode)).kept == run.kept);
        CHECK(runOf(channels, settingsOf(mode)).nodeParent == run.nodeParent);
        TokenRun back = runOf(reversed, settingsOf(mode));
        std::vector<std::uint8_t> kept;
        const std::ptrdiff_t perFrame = run.rows * run.columns;
        for (int t = run.frames - 1; t >= 0; --t)
            kept.insert(kept.end(), back.kept.begin() + t * perFrame, back.kept.begin() + (t + 1) * perFrame);
        CHECK(kept != run.kept);
    }
}

TEST_CASE("a prefix of the priority equals direct selection, for every budget") {
    for (const Motion motion : allMotions()) {
        const VideoTokens video = syntheticVideo(motion, 20 + static_cast<std::uint64_t>(motion));
        for (const TokenMode mode : kForests) {
            CAPTURE(motionName(motion));
            CAPTURE(tokenModeName(mode));
            const TokenSettings settings = settingsOf(mode);
            const TokenRun run = runOf(video, settings);
            const PublishedForest published(video, candidatesOf(run), settings.semanticThreshold,
                                            settings.spatialThreshold, mode != TokenMode::ForestCode);
            REQUIRE(published.nodes().size() == run.nodeCell.size());
            CHECK(published.roots() == run.roots);
            for (std::size_t i = 0; i < run.nodeCell.size(); ++i) {
                const auto& node = published.nodes()[i];
                CHECK(node.parent == run.nodeParent[i]);
                CHECK(node.tree == run.nodeTree[i]);
                CHECK(node.depth == run.nodeDepth[i]);
                if (node.parent >= 0)
                    CHECK(published.cosine(static_cast<int>(i), node.parent) ==
                          doctest::Approx(static_cast<double>(run.nodeParentSimilarity[i])).epsilon(1e-5));
            }
            for (int budget = 1; budget <= run.candidates; ++budget) {
                CAPTURE(budget);
                const auto direct = mode == TokenMode::ForestCode    ? published.keptByCode(budget)
                                    : mode == TokenMode::ForestPaper ? published.keptByPaper(budget)
                                                                     : published.keptBalanced(budget);
                CHECK(keptCells(cutAt(run, budget).keptCell) == direct);
            }
        }
    }
}

TEST_CASE("results do not depend on the number of threads, nor on how many cosines are kept") {
    const int threads = at::get_num_threads();
    SyntheticSize size{12, 13, 13, 160};
    for (const Motion motion : {Motion::Random, Motion::Drift}) {
        const VideoTokens video = syntheticVideo(motion, 30, size);
        at::set_num_threads(1);
        const TokenRun one = withoutTimes(runOf(video, settingsOf(TokenMode::ForestCode)));
        at::set_num_threads(2);
        const TokenRun two = withoutTimes(runOf(video, settingsOf(TokenMode::ForestCode)));
        CHECK(one == two);

        const auto cells = gpruneCandidates(video.features, 84).cells;
        const ForestRule rule{ParentRule::TreeTail, 0.85, 0.6};
        const TokenForest dense = buildForest(video.features, cells, 13, 13, rule, {});
        const TokenForest blocks = buildForest(video.features, cells, 13, 13, rule, {}, 0);
        CHECK(dense.cosines.defined());
        CHECK(!blocks.cosines.defined());
        CHECK(dense.parent == blocks.parent);
        CHECK(dense.parentSimilarity == blocks.parentSimilarity);
    }
    at::set_num_threads(threads);
}

TEST_CASE("selection stops when it is told to") {
    std::stop_source source;
    source.request_stop();
    const VideoTokens video = syntheticVideo(Motion::Static, 1);
    CHECK_THROWS(
        makeTokenPolicy(settingsOf(TokenMode::ForestCode)).selector->select(video, source.get_token()));
}
