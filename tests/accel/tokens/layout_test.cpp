// Newlines, positions and patch indices of the sequence that the language model is given.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include <doctest/doctest.h>

#include "accel/policies/tokens/token_policies.h"
#include "accel/policies/tokens/token_selection.h"
#include "tests/accel/tokens/synthetic_video.h"

using namespace canopy;
using namespace canopy::accel;
using namespace canopy::test;

namespace {

using Ints = std::vector<std::int64_t>;

/// Two frames of 2 x 3 cells; kept: frame 0 (0,1), (0,2); frame 1 (1,0).
TokenSelection threeCells(NewlinePolicy newlines, PositionPolicy positions) {
    TokenSelection selection;
    TokenRun& run = selection.run;
    run.frames = 2;
    run.rows = 2;
    run.columns = 3;
    run.settings.newlines = newlines;
    run.settings.positions = positions;
    run.kept = {0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0};
    run.keptCells = 3;
    selection.kept = toDevice({1, 2, 9}, at::kCPU);
    return selection;
}

void check(const at::Tensor& ours, const Ints& expected) {
    CAPTURE(ours);
    CHECK(ours.equal(at::tensor(expected)));
}

} // namespace

TEST_CASE("one newline at the end") {
    auto selection = threeCells(NewlinePolicy::AllRows, PositionPolicy::Repacked);
    TokenLayout layout = layoutTokens(selection, NewlineMode::OneToken);
    check(layout.source, {0, 1, 2, -1});
    check(layout.positions, {0, 1, 2, 3});
    check(layout.videoIndex, {1, 2, 9, -1});
    CHECK(layout.unprunedTokens == 13);
    CHECK(selection.run.keptNewlines == 1);
    CHECK(selection.run.modelTokens == 4);

    selection = threeCells(NewlinePolicy::None, PositionPolicy::Original);
    layout = layoutTokens(selection, NewlineMode::OneToken);
    check(layout.source, {0, 1, 2});
    check(layout.positions, {1, 2, 9});
    CHECK(selection.run.modelTokens == 3);
}

TEST_CASE("a newline after each row") {
    auto selection = threeCells(NewlinePolicy::AllRows, PositionPolicy::Original);
    TokenLayout layout = layoutTokens(selection, NewlineMode::Grid);
    check(layout.source, {0, 1, -1, -1, -1, 2, -1});
    check(layout.positions, {1, 2, 3, 7, 11, 12, 15});
    check(layout.videoIndex, {1, 2, 3, 7, 11, 12, 15});
    CHECK(layout.unprunedTokens == 16);

    selection = threeCells(NewlinePolicy::NonEmptyRows, PositionPolicy::Repacked);
    layout = layoutTokens(selection, NewlineMode::Grid);
    check(layout.source, {0, 1, -1, 2, -1});
    check(layout.positions, {0, 1, 2, 3, 4});

    selection = threeCells(NewlinePolicy::PerFrame, PositionPolicy::Original);
    layout = layoutTokens(selection, NewlineMode::Grid);
    check(layout.source, {0, 1, -1, 2, -1});
    check(layout.positions, {1, 2, 7, 12, 15});
}

TEST_CASE("a newline after each frame") {
    auto selection = threeCells(NewlinePolicy::AllRows, PositionPolicy::Original);
    const TokenLayout layout = layoutTokens(selection, NewlineMode::Frame);
    check(layout.source, {0, 1, -1, 2, -1});
    check(layout.positions, {1, 2, 6, 10, 13});
    check(layout.videoIndex, {1, 2, -1, 9, -1});
    CHECK(layout.unprunedTokens == 14);
}

TEST_CASE("a method's own order of cells counts only where no newline stands between them") {
    auto selection = threeCells(NewlinePolicy::AllRows, PositionPolicy::Repacked);
    selection.sequence = {2, 0, 1};
    TokenLayout layout = layoutTokens(selection, NewlineMode::OneToken);
    check(layout.source, {2, 0, 1, -1});
    check(layout.videoIndex, {9, 1, 2, -1});
    check(layoutTokens(selection, NewlineMode::Grid).source, {0, 1, -1, -1, -1, 2, -1});
    selection.run.settings.positions = PositionPolicy::Original; // positions must rise
    check(layoutTokens(selection, NewlineMode::OneToken).source, {0, 1, 2, -1});
}

TEST_CASE("the unpruned sequence has every position of its host") {
    const VideoTokens video = syntheticVideo(Motion::Object, 2);
    const std::int64_t cells = video.frames * video.rows * video.columns;
    const std::vector<std::pair<NewlineMode, std::int64_t>> lengths = {
        {NewlineMode::OneToken, cells + 1},
        {NewlineMode::Grid, cells + video.frames * video.rows},
        {NewlineMode::Frame, cells + video.frames},
        {NewlineMode::None, cells}};
    for (const auto& [host, length] : lengths) {
        for (const TokenMode mode : {TokenMode::All, TokenMode::FastV, TokenMode::FrameFusion}) {
            TokenSettings settings;
            settings.mode = mode;
            settings.newlines = NewlinePolicy::None; // nothing is dropped before the language model
            TokenSelection selection = makeTokenPolicy(settings).selector->select(video, {});
            const TokenLayout layout = layoutTokens(selection, host);
            CHECK(layout.positions.equal(at::arange(length)));
            CHECK(layout.unprunedTokens == length);
            CHECK(selection.run.modelTokens == length);
            CHECK(selection.run.notes.size() == 1); // that the policy asked for does not apply
            settings.newlines = NewlinePolicy::Auto;
            CHECK(makeTokenPolicy(settings).selector->select(video, {}).run.notes.empty());
        }
    }
}

TEST_CASE("layout and newline count agree for every mode, host and policy") {
    const VideoTokens video = syntheticVideo(Motion::Cuts, 4);
    for (const TokenModeInfo& info : tokenModes()) {
        for (const NewlineMode host :
             {NewlineMode::OneToken, NewlineMode::Grid, NewlineMode::Frame, NewlineMode::None}) {
            for (const NewlinePolicy policy :
                 {NewlinePolicy::Auto, NewlinePolicy::AllRows, NewlinePolicy::NonEmptyRows,
                  NewlinePolicy::PerFrame, NewlinePolicy::None}) {
                for (const PositionPolicy positions : {PositionPolicy::Repacked, PositionPolicy::Original}) {
                    TokenSettings settings;
                    settings.mode = info.mode;
                    settings.keep = info.mode == TokenMode::All ? 1 : 0.2;
                    settings.newlines = policy;
                    settings.positions = positions;
                    TokenSelection selection = makeTokenPolicy(settings).selector->select(video, {});
                    const TokenLayout layout = layoutTokens(selection, host);
                    const TokenRun& run = selection.run;
                    CAPTURE(info.name);
                    CHECK(run.settings.newlines != NewlinePolicy::Auto);
                    CHECK(run.settings.positions != PositionPolicy::Auto);
                    CHECK(run.keptNewlines == newlineCount(run, run.kept));
                    CHECK(run.modelTokens == layout.source.size(0));
                    const auto steps = layout.positions.diff();
                    CHECK((steps > 0).all().item<bool>());
                    CHECK(layout.positions.max().item<std::int64_t>() < layout.unprunedTokens);
                }
            }
        }
    }
}
