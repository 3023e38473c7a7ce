// What holds for every mode, and what each control and rival promises beyond its parity cases.

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <doctest/doctest.h>

#include "accel/policies/tokens/counter_random.h"
#include "accel/policies/tokens/holitom.h"
#include "accel/policies/tokens/token_policies.h"
#include "accel/policies/tokens/token_selection.h"
#include "tests/accel/tokens/synthetic_video.h"

using namespace canopy;
using namespace canopy::accel;
using namespace canopy::test;

namespace {

TokenSettings settingsOf(TokenMode mode, double keep) {
    TokenSettings settings;
    settings.mode = mode;
    settings.keep = mode == TokenMode::All ? 1 : keep;
    return settings;
}

TokenSelection selectionOf(const VideoTokens& video, const TokenSettings& settings) {
    const TokenPolicy policy = makeTokenPolicy(settings);
    VideoTokens given = video;
    if (!policy.selector->needsAttention())
        given.attention = at::Tensor();
    if (!policy.selector->needsKeys())
        given.keys = at::Tensor();
    if (!policy.selector->needsPixels())
        given.pixelDifference = at::Tensor();
    return policy.selector->select(given, {});
}

TokenRun withoutTimes(TokenRun run) {
    run.selectSeconds = run.candidateSeconds = run.forestSeconds = run.mergeSeconds = 0;
    return run;
}

std::vector<int> keptPerFrame(const TokenRun& run) {
    return cutAt(run, run.budget).keptPerFrame;
}

void checkSelection(const TokenSelection& selection, const VideoTokens& video) {
    const TokenRun& run = selection.run;
    const std::vector<std::int32_t> cells = hostCells(selection.kept);
    CHECK(run.keptCells == static_cast<int>(cells.size()));
    CHECK(!cells.empty());
    CHECK(std::is_sorted(cells.begin(), cells.end()));
    std::vector<std::uint8_t> kept(static_cast<std::size_t>(run.cells()));
    for (const std::int32_t cell : cells)
        ++kept.at(static_cast<std::size_t>(cell));
    CHECK(kept == run.kept);
    if (selection.features.defined()) {
        CHECK(selection.features.size(0) == run.keptCells);
        CHECK((selection.features.scalar_type() == video.features.scalar_type()));
        CHECK(selection.features.isfinite().all().item<bool>());
    }
    if (!selection.sequence.empty()) {
        const std::set<std::int32_t> places(selection.sequence.begin(), selection.sequence.end());
        CHECK(places.size() == cells.size());
        CHECK(*places.rbegin() == run.keptCells - 1);
    }
    for (std::size_t cell = 0; cell < run.mergedInto.size(); ++cell) {
        if (run.mergedInto[cell] < 0)
            continue;
        CHECK(run.kept[cell] == 0);
        CHECK(run.kept[static_cast<std::size_t>(run.mergedInto[cell])] == 1);
    }
    CHECK(run.priority.empty() != tokenModeInfo(run.settings.mode).nested);
    const auto again = tokenRunFromValue(toValue(run));
    REQUIRE_MESSAGE(again.ok(), again.error().message);
}

} // namespace

TEST_CASE("every mode selects, twice alike, on short and long videos and in half precision") {
    for (const TokenModeInfo& info : tokenModes()) {
        CAPTURE(info.name);
        for (const int frames : {1, 2, 3, 9}) {
            for (const double keep : {1.0, 0.5, 0.1, 0.01}) {
                CAPTURE(frames);
                CAPTURE(keep);
                SyntheticSize size;
                size.frames = frames;
                size.columns = 7;
                VideoTokens video = syntheticVideo(Motion::Object, 40, size);
                const TokenSettings settings = settingsOf(info.mode, keep);
                const TokenSelection one = selectionOf(video, settings);
                checkSelection(one, video);
                CHECK(withoutTimes(one.run) == withoutTimes(selectionOf(video, settings).run));
                video.features = video.features.to(at::kBFloat16);
                checkSelection(selectionOf(video, settings), video);
            }
        }
    }
}

TEST_CASE("features that are no numbers neither stop nor crash a selection") {
    VideoTokens video = syntheticVideo(Motion::Drift, 52);
    video.features.select(0, 1).select(0, 7).fill_(std::numeric_limits<float>::quiet_NaN());
    video.features.select(0, 4).fill_(std::numeric_limits<float>::infinity());
    video.attention.select(0, 2).fill_(std::numeric_limits<float>::quiet_NaN());
    for (const TokenModeInfo& info : tokenModes()) {
        CAPTURE(info.name);
        const TokenRun run = selectionOf(video, settingsOf(info.mode, 0.25)).run;
        CHECK(run.keptCells > 0);
        const auto again = tokenRunFromValue(toValue(run));
        CHECK_MESSAGE(again.ok(), (again.ok() ? "" : again.error().message));
    }
}

TEST_CASE("modes that choose freely keep exactly the budget") {
    const VideoTokens video = syntheticVideo(Motion::Cuts, 41);
    const int cells = video.frames * video.rows * video.columns;
    for (const TokenMode mode : {TokenMode::GPrune, TokenMode::UniformRandom, TokenMode::Stride,
                                 TokenMode::RegionCycle, TokenMode::PixelDiff}) {
        for (const double keep : {1.0, 0.73, 0.5, 0.25, 0.1, 0.05}) {
            const TokenRun run = selectionOf(video, settingsOf(mode, keep)).run;
            CAPTURE(tokenModeName(mode));
            CHECK(run.keptCells == static_cast<int>(std::nearbyint(keep * cells)));
            CHECK(run.budget == run.keptCells);
        }
    }
}

TEST_CASE("a budget of all tokens is kept with its newlines") {
    VideoTokens video = syntheticVideo(Motion::Drift, 42);
    const int cells = video.frames * video.rows * video.columns;
    for (const TokenModeInfo& info : tokenModes()) {
        // One whole frame of four, one whole frame: more than the budget by nature.
        if (info.insideModel || info.mode == TokenMode::All || info.mode == TokenMode::DyCoke ||
            info.mode == TokenMode::FrameSkip)
            continue;
        for (const NewlineMode host : {NewlineMode::OneToken, NewlineMode::Grid}) {
            video.newlines = host;
            TokenSettings settings = settingsOf(info.mode, 0.4);
            settings.newlines = NewlinePolicy::NonEmptyRows;
            settings.accounting = BudgetAccounting::AllTokens;
            TokenSelection selection = selectionOf(video, settings);
            layoutTokens(selection, host);
            CAPTURE(info.name);
            const bool forest = info.kind == TokenModeKind::Forest;
            const int limit =
                static_cast<int>(std::nearbyint(forest ? selection.run.candidates * 0.4 / 0.5 : cells * 0.4));
            CHECK(selection.run.modelTokens <= limit);
            if (info.mode != TokenMode::HoliTom) // one copy of what stands still may be all there is
                CHECK(selection.run.modelTokens >= limit * 6 / 10);
        }
    }
}

TEST_CASE("newlines that leave no room for cells are said") {
    VideoTokens video = syntheticVideo(Motion::Drift, 42);
    video.newlines = NewlineMode::Grid;
    for (const TokenMode mode : {TokenMode::ForestCode, TokenMode::Stride}) {
        TokenSettings settings = settingsOf(mode, 0.05);
        settings.newlines = NewlinePolicy::AllRows;
        settings.accounting = BudgetAccounting::AllTokens;
        const TokenRun run = selectionOf(video, settings).run;
        CHECK(run.keptCells == 1);
        CHECK(std::find(run.notes.begin(), run.notes.end(), kNewlinesExceed) != run.notes.end());
    }
}

TEST_CASE("the random numbers are those of SplitMix64") {
    CounterRandom random(0);
    CHECK(random.next() == 0xE220A8397B1DCDAFu);
    CHECK(random.next() == 0x6E789E6AA1B965F4u);
    CHECK(random.next() == 0x06C45D188009454Fu);
    for (int i = 0; i < 1000; ++i) {
        CHECK(random.below(7) < 7);
        const double u = random.uniform();
        CHECK((u >= 0 && u < 1));
    }
}

TEST_CASE("the seed decides the random controls and nothing else") {
    const VideoTokens video = syntheticVideo(Motion::Pan, 43);
    for (const TokenModeInfo& info : tokenModes()) {
        TokenSettings settings = settingsOf(info.mode, 0.25);
        const auto first = selectionOf(video, settings).run.kept;
        settings.seed = 1;
        const bool random = info.mode == TokenMode::UniformRandom || info.mode == TokenMode::RegionCycle ||
                            info.mode == TokenMode::PixelDiff;
        CAPTURE(info.name);
        CHECK((selectionOf(video, settings).run.kept != first) == random);
    }
}

TEST_CASE("uniform random reaches every cell and spreads over the frames") {
    const VideoTokens video = syntheticVideo(Motion::Static, 44);
    std::vector<int> hits(static_cast<std::size_t>(video.frames * video.rows * video.columns));
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        TokenSettings settings = settingsOf(TokenMode::UniformRandom, 0.25);
        settings.seed = seed;
        const auto kept = selectionOf(video, settings).run.kept;
        for (std::size_t cell = 0; cell < hits.size(); ++cell)
            hits[cell] += kept[cell];
    }
    // 50 expected with a standard deviation of 6.
    CHECK(*std::min_element(hits.begin(), hits.end()) > 20);
    CHECK(*std::max_element(hits.begin(), hits.end()) < 80);
}

TEST_CASE("stride and fewer frames are spread evenly") {
    const VideoTokens video = syntheticVideo(Motion::Static, 45);
    const TokenRun stride = selectionOf(video, settingsOf(TokenMode::Stride, 0.25)).run;
    for (const int kept : keptPerFrame(stride))
        CHECK(kept == 9);
    for (std::size_t frame = 0; frame < 6; ++frame)
        for (std::size_t cell = 0; cell < 36; ++cell)
            CHECK(stride.kept[frame * 36 + cell] == ((cell + 36 - frame) % 36 % 4 == 0));
    const TokenRun skip = selectionOf(video, settingsOf(TokenMode::FrameSkip, 0.34)).run;
    CHECK(keptPerFrame(skip) == std::vector<int>{0, 36, 0, 0, 36, 0});
}

TEST_CASE("a region cycle of a tenth keeps another region of ten in each frame") {
    SyntheticSize size;
    size.frames = 10;
    size.rows = size.columns = 10;
    const VideoTokens video = syntheticVideo(Motion::Static, 46, size);
    const TokenRun run = selectionOf(video, settingsOf(TokenMode::RegionCycle, 0.1)).run;
    std::set<int> seen;
    for (int frame = 0; frame < 10; ++frame) {
        std::set<int> regions;
        for (int cell = 0; cell < 100; ++cell)
            if (run.kept[static_cast<std::size_t>(frame * 100 + cell)])
                regions.insert((3 * (cell / 10) + 7 * (cell % 10)) % 10);
        CHECK(regions.size() == 1);
        seen.insert(regions.begin(), regions.end());
    }
    CHECK(seen.size() == 10);
}

TEST_CASE("pixel difference prefers what changed and was not kept just before") {
    VideoTokens video = syntheticVideo(Motion::Object, 47);
    video.pixelDifference.fill_(60);                   // below the quantile, though not much less likely
    for (int frame = 1; frame < video.frames; ++frame) // another dozen of cells in each frame
        video.pixelDifference.select(0, frame).narrow(0, frame % 3 * 12, 12).fill_(100);
    const TokenRun run = selectionOf(video, settingsOf(TokenMode::PixelDiff, 0.2)).run;
    const std::vector<int> perFrame = keptPerFrame(run);
    CHECK(perFrame[0] == 12);
    for (int frame = 1; frame < video.frames; ++frame) {
        CHECK(perFrame[static_cast<std::size_t>(frame)] <= 7);
        int changed = 0;
        int open = 0;
        for (int cell = frame % 3 * 12; cell < frame % 3 * 12 + 12; ++cell) {
            changed += run.kept[static_cast<std::size_t>(frame * 36 + cell)];
            open += !run.kept[static_cast<std::size_t>((frame - 1) * 36 + cell)];
        }
        CHECK(changed >= std::min(open, perFrame[static_cast<std::size_t>(frame)]));
    }
}

TEST_CASE("where no pixel changes, pixel difference is a draw of the seed") {
    VideoTokens video = syntheticVideo(Motion::Static, 47);
    video.pixelDifference.zero_();
    TokenSettings settings = settingsOf(TokenMode::PixelDiff, 0.2);
    const auto first = selectionOf(video, settings).run.kept;
    settings.seed = 5;
    const auto second = selectionOf(video, settings).run.kept;
    for (std::ptrdiff_t frame = 0; frame < 6; ++frame)
        CHECK(!std::equal(first.begin() + frame * 36, first.begin() + (frame + 1) * 36,
                          second.begin() + frame * 36));
}

TEST_CASE("G-Prune alone keeps the candidates of its share") {
    const VideoTokens video = syntheticVideo(Motion::Cuts, 48);
    TokenSettings forest = settingsOf(TokenMode::ForestCode, 0.5);
    const TokenRun alone = selectionOf(video, settingsOf(TokenMode::GPrune, 0.5)).run;
    CHECK(alone.kept == selectionOf(video, forest).run.candidate);
}

TEST_CASE("DyCoke keeps first frames whole and what changed of the others") {
    VideoTokens video = syntheticVideo(Motion::Static, 49);
    // Two cells of frame 1 turn round; of frame 3 two others against frame 2.
    video.features.select(0, 1).narrow(0, 5, 2).neg_();
    video.features.select(0, 3).narrow(0, 20, 2).neg_();
    const double keep = (2 * 36 + 4 * 2 + 0.5) / (6 * 36);
    const TokenRun run = selectionOf(video, settingsOf(TokenMode::DyCoke, keep)).run;
    CHECK(keptPerFrame(run) == std::vector<int>{36, 2, 2, 2, 36, 2});
    for (const int cell : {36 + 5, 36 + 6, 3 * 36 + 20, 3 * 36 + 21})
        CHECK(run.kept[static_cast<std::size_t>(cell)] == 1);
    const TokenRun little = selectionOf(video, settingsOf(TokenMode::DyCoke, 0.1)).run;
    CHECK(keptPerFrame(little) == std::vector<int>{36, 0, 0, 0, 36, 0});
    CHECK(!little.notes.empty());
}

TEST_CASE("HoliTom's windows are the best of all ways to cut the frames") {
    CounterRandom random(9);
    const int cells = 5;
    for (int frames = 1; frames <= 7; ++frames) {
        for (int round = 0; round < 20; ++round) {
            std::vector<std::vector<bool>> isStatic(static_cast<std::size_t>(frames - 1));
            for (auto& step : isStatic)
                for (int cell = 0; cell < cells; ++cell)
                    step.push_back(random.below(4) > 0);
            const auto gainOf = [&](int first, int last) {
                int count = 0;
                for (std::size_t cell = 0; cell < cells; ++cell) {
                    bool all = true;
                    for (int t = first; t < last; ++t)
                        all = all && isStatic[static_cast<std::size_t>(t)][cell];
                    count += all;
                }
                return count * (last - first);
            };
            int best = 0;
            for (int cuts = 0; cuts < 1 << (frames - 1); ++cuts) {
                int gain = 0;
                int first = 0;
                for (int t = 0; t < frames; ++t) {
                    if (t == frames - 1 || (cuts >> t & 1)) {
                        gain += gainOf(first, t);
                        first = t + 1;
                    }
                }
                best = std::max(best, gain);
            }
            const HoliTomPlan plan = planWindows(isStatic, frames, cells, 0.25);
            CHECK(plan.gain == best);
            int covered = 0;
            int gain = 0;
            for (const HoliTomWindow& window : plan.windows) {
                CHECK(window.first == covered);
                covered = window.last + 1;
                gain += gainOf(window.first, window.last);
            }
            CHECK(covered == frames);
            CHECK(gain == best);
        }
    }
    const HoliTomPlan moving = planWindows({{false, false}, {false, false}}, 3, 2, 0.25);
    CHECK(moving.windows.size() == 3);
    CHECK(moving.effectiveShare == doctest::Approx(0.25));
}

TEST_CASE("HoliTom keeps one copy of what stands still") {
    SyntheticSize size;
    size.frames = 1;
    VideoTokens video = syntheticVideo(Motion::Static, 50, size);
    video.frames = 6;
    video.features = video.features.repeat({6, 1, 1});
    video.attention = video.attention.repeat({6, 1});
    const TokenSelection selection = selectionOf(video, settingsOf(TokenMode::HoliTom, 0.5));
    // One window; half of all is three times what one copy holds, so nothing is merged.
    CHECK(keptPerFrame(selection.run) == std::vector<int>{36, 0, 0, 0, 0, 0});
    CHECK((selection.features - video.features[0]).abs().max().item<float>() < 1e-5F);
    for (int cell = 36; cell < 6 * 36; ++cell)
        CHECK(selection.run.mergedInto[static_cast<std::size_t>(cell)] == cell % 36);
}

TEST_CASE("forest_balanced spreads what forest_code puts into the first frames") {
    SyntheticSize size;
    size.frames = 10;
    const VideoTokens video = syntheticVideo(Motion::Static, 51, size);
    const auto least = [&](TokenMode mode) {
        const TokenRun run = selectionOf(video, settingsOf(mode, 0.25)).run;
        CHECK(run.regime == TokenRun::Regime::Fill);
        const std::vector<int> perFrame = keptPerFrame(run);
        return *std::min_element(perFrame.begin(), perFrame.end());
    };
    CHECK(least(TokenMode::ForestCode) <= 1);
    CHECK(least(TokenMode::ForestBalanced) >= 5);
}
