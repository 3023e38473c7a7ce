// FastV and FrameFusion in a toy prefill: what is left in each layer is counted, not masked.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <doctest/doctest.h>

#include "accel/policies/tokens/token_policies.h"
#include "accel/policies/tokens/token_selection.h"
#include "tests/accel/tokens/synthetic_video.h"

using namespace canopy;
using namespace canopy::accel;
using namespace canopy::test;

namespace {

constexpr int kTextBefore = 4;
constexpr int kTextAfter = 5;

struct Prefill {
    TokenRun run;
    std::vector<int> lengths; ///< of the sequence in each layer's attention
    at::Tensor videoIndex;    ///< at the end
    at::Tensor positions;
};

/// Layers that do nothing but let the policy act; attention of the last row = the hidden state's first
/// channel.
Prefill prefill(const VideoTokens& video, const TokenSettings& settings, NewlineMode host, int layers) {
    const TokenPolicy policy = makeTokenPolicy(settings);
    REQUIRE(policy.reducer);
    TokenSelection selection = policy.selector->select(video, {});
    const TokenLayout layout = layoutTokens(selection, host);
    const std::int64_t width = video.features.size(2);
    const auto newline = at::full({1, width}, 0.5);
    const auto table = at::cat({video.features.flatten(0, 1), newline});
    const auto text = [&](int n) { return at::full({n, width}, -1); };
    const auto none = [](int n) { return at::full({n}, -1, at::TensorOptions(at::kLong)); };

    PrefillPoint point;
    point.hidden = at::cat(
        {text(kTextBefore), table.index_select(0, layout.source.remainder(table.size(0))), text(kTextAfter)});
    point.videoIndex = at::cat({none(kTextBefore), layout.videoIndex, none(kTextAfter)});
    point.positions = at::arange(point.hidden.size(0));
    point.frames = video.frames;
    point.patchesPerFrame = video.rows * (video.columns + (host == NewlineMode::Grid ? 1 : 0));
    point.layers = layers;

    Prefill result;
    const auto act = [&](PrefillPoint::Where where) {
        point.where = where;
        const auto hidden = point.hidden;
        point.lastRowAttention = [hidden] { return hidden.select(1, 0).softmax(0); };
        if (const auto reduction = policy.reducer->reduce(point)) {
            CHECK((reduction->keep.diff() > 0).all().item<bool>());
            point.hidden = reduction->hidden;
            point.positions = point.positions.index_select(0, reduction->keep);
            point.videoIndex = point.videoIndex.index_select(0, reduction->keep);
        }
        REQUIRE(point.hidden.size(0) == point.videoIndex.size(0));
    };
    for (int layer = 0; layer < layers; ++layer) {
        point.layer = layer;
        act(PrefillPoint::Where::BeforeAttention);
        result.lengths.push_back(static_cast<int>(point.hidden.size(0)));
        act(PrefillPoint::Where::AfterAttention);
    }
    CHECK((point.videoIndex < 0).sum().item<int>() ==
          kTextBefore + kTextAfter + (host == NewlineMode::OneToken ? 1 : 0));
    result.videoIndex = point.videoIndex;
    result.positions = point.positions;
    result.run = selection.run;
    policy.reducer->finish(result.run);
    return result;
}

TokenSettings settingsOf(TokenMode mode, double keep) {
    TokenSettings settings;
    settings.mode = mode;
    settings.keep = keep;
    return settings;
}

} // namespace

TEST_CASE("FastV keeps two layers whole and its share from the third on") {
    const VideoTokens video = syntheticVideo(Motion::Object, 60);
    for (const NewlineMode host : {NewlineMode::OneToken, NewlineMode::Grid}) {
        const Prefill result = prefill(video, settingsOf(TokenMode::FastV, 0.25), host, 6);
        const int patches = host == NewlineMode::Grid ? 6 * 6 * 7 : 6 * 6 * 6;
        const int full = patches + kTextBefore + kTextAfter + (host == NewlineMode::OneToken ? 1 : 0);
        const int left = full - patches + static_cast<int>(std::nearbyint(patches * 0.25));
        CHECK(result.lengths == std::vector<int>{full, full, left, left, left, left});
        CHECK(result.run.layerTokens == result.lengths);
        CHECK(result.run.modelTokens == full - kTextBefore - kTextAfter);
        const int kept = std::accumulate(result.run.kept.begin(), result.run.kept.end(), 0);
        CHECK(kept <= left);
        if (host == NewlineMode::OneToken)
            CHECK(kept == static_cast<int>(std::nearbyint(patches * 0.25)));
    }
}

TEST_CASE("FastV keeps what the last position attends to") {
    VideoTokens video = syntheticVideo(Motion::Object, 61);
    video.features.select(2, 0).fill_(0);
    video.features.select(0, 3).select(1, 0).fill_(10); // all of frame 3
    const Prefill result = prefill(video, settingsOf(TokenMode::FastV, 1.0 / 6), NewlineMode::OneToken, 4);
    for (int cell = 0; cell < 6 * 36; ++cell)
        CHECK(result.run.kept[static_cast<std::size_t>(cell)] == (cell / 36 == 3));
}

TEST_CASE("FastV at 100 % and on two layers changes nothing, and says why in the second case") {
    const VideoTokens video = syntheticVideo(Motion::Object, 62);
    const Prefill all = prefill(video, settingsOf(TokenMode::FastV, 1), NewlineMode::OneToken, 4);
    CHECK(std::count(all.lengths.begin(), all.lengths.end(), all.lengths.front()) == 4);
    CHECK(all.run.notes.empty());
    const Prefill shallow = prefill(video, settingsOf(TokenMode::FastV, 0.1), NewlineMode::OneToken, 2);
    CHECK(shallow.lengths[0] == shallow.lengths[1]);
    CHECK(!shallow.run.notes.empty());
}

TEST_CASE("FrameFusion comes to its cost in the mean over layers") {
    for (const Motion motion : allMotions()) {
        for (const NewlineMode host : {NewlineMode::OneToken, NewlineMode::Grid}) {
            SyntheticSize size;
            size.frames = 12;
            const VideoTokens video = syntheticVideo(motion, 63, size);
            const int layers = 24;
            const Prefill result = prefill(video, settingsOf(TokenMode::FrameFusion, 0.3), host, layers);
            CAPTURE(motionName(motion));
            CHECK(result.run.layerTokens == result.lengths);
            const int extra = kTextBefore + kTextAfter + (host == NewlineMode::OneToken ? 1 : 0);
            const int patches = result.run.modelTokens - (host == NewlineMode::OneToken ? 1 : 0);
            double sum = 0;
            for (const int length : result.lengths)
                sum += length - extra;
            // Counted in layers of keys and values; the method counts one call more than there are layers.
            CHECK(sum / layers / patches == doctest::Approx(0.3).epsilon(0.2));
            CHECK(std::is_sorted(result.lengths.rbegin(), result.lengths.rend()));
        }
    }
}

TEST_CASE("FrameFusion folds a still video into its first frame") {
    SyntheticSize size;
    size.frames = 1;
    VideoTokens video = syntheticVideo(Motion::Static, 64, size);
    video.frames = 4;
    video.features = video.features.repeat({4, 1, 1});
    const Prefill result = prefill(video, settingsOf(TokenMode::FrameFusion, 0.25), NewlineMode::OneToken, 8);
    for (int cell = 0; cell < 4 * 36; ++cell) {
        CHECK(result.run.kept[static_cast<std::size_t>(cell)] == (cell < 36));
        CHECK(result.run.mergedInto[static_cast<std::size_t>(cell)] == (cell < 36 ? -1 : cell % 36));
    }
    CHECK(result.lengths.front() == 36 + kTextBefore + kTextAfter + 1);
}

TEST_CASE("FrameFusion at 100 % keeps every token, and at next to nothing at least one") {
    const VideoTokens video = syntheticVideo(Motion::Random, 65);
    const Prefill all = prefill(video, settingsOf(TokenMode::FrameFusion, 1), NewlineMode::OneToken, 6);
    CHECK(all.lengths.back() == all.lengths.front());
    CHECK(std::count(all.run.kept.begin(), all.run.kept.end(), 1) == 6 * 36);
    const Prefill little = prefill(video, settingsOf(TokenMode::FrameFusion, 0.01), NewlineMode::OneToken, 6);
    CHECK(std::count(little.run.kept.begin(), little.run.kept.end(), 1) == 1);
}
