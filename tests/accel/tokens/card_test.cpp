// Selections on a card against those on the CPU. Without a card, or in a build without the CUDA module, the
// case says so and claims nothing.

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <filesystem>

#include <doctest/doctest.h>

#include "accel/policies/tokens/token_policies.h"
#include "accel/policies/tokens/token_selection.h"
#include "accel/runtime/cuda_loader.h"
#include "accel/runtime/device.h"
#include "core/base/files.h"
#include "tests/accel/tokens/synthetic_video.h"

using namespace canopy;
using namespace canopy::accel;
using namespace canopy::test;

namespace {

VideoTokens moved(VideoTokens video, at::Device device) {
    for (at::Tensor* tensor : {&video.features, &video.attention, &video.keys, &video.pixelDifference})
        *tensor = tensor->to(device);
    return video;
}

/// Cells that only one of two runs keeps.
int differing(const TokenRun& a, const TokenRun& b) {
    int count = 0;
    for (std::size_t cell = 0; cell < a.kept.size(); ++cell)
        count += a.kept[cell] != b.kept[cell];
    return count;
}

/// Both hooks of a method inside the language model, on the tokens of a video alone.
TokenRun reduced(const VideoTokens& video, TokenMode mode) {
    TokenSettings settings;
    settings.mode = mode;
    settings.keep = 0.25;
    const TokenPolicy policy = makeTokenPolicy(settings);
    TokenSelection selection = policy.selector->select(video, {});
    const TokenLayout layout = layoutTokens(selection, NewlineMode::None);
    PrefillPoint point;
    point.hidden = video.features.flatten(0, 1).index_select(0, layout.source);
    point.positions = layout.positions;
    point.videoIndex = layout.videoIndex;
    point.frames = video.frames;
    point.patchesPerFrame = video.rows * video.columns;
    point.layers = 4;
    for (int layer = 0; layer < point.layers; ++layer) {
        for (const auto where : {PrefillPoint::Where::BeforeAttention, PrefillPoint::Where::AfterAttention}) {
            point.layer = layer;
            point.where = where;
            const auto hidden = point.hidden;
            point.lastRowAttention = [hidden] { return hidden.select(1, 0).softmax(0); };
            if (const auto reduction = policy.reducer->reduce(point)) {
                point.hidden = reduction->hidden;
                point.positions = point.positions.index_select(0, reduction->keep);
                point.videoIndex = point.videoIndex.index_select(0, reduction->keep);
            }
        }
    }
    policy.reducer->finish(selection.run);
    return selection.run;
}

} // namespace

TEST_CASE("a card selects what the CPU selects, and the same twice") {
    if (const auto count = cudaDeviceCount(); !count) {
        MESSAGE("skipped: ", count.error().message);
        return;
    }
    if (!std::filesystem::exists(executableFolder() / "libcanopy_cuda.so")) {
        MESSAGE("skipped: this build has no CUDA module");
        return;
    }
    const auto card = loadCuda();
    REQUIRE_MESSAGE(card.ok(), card.error().message);
    const at::Device device(at::kCUDA, 0);
    for (const Motion motion : allMotions()) {
        const VideoTokens video = syntheticVideo(motion, 70, {8, 13, 13, 96});
        const VideoTokens onCard = moved(video, device);
        for (const TokenModeInfo& info : tokenModes()) {
            CAPTURE(motionName(motion));
            CAPTURE(info.name);
            if (info.insideModel) {
                const TokenRun ours = reduced(onCard, info.mode);
                CHECK(ours.layerTokens == reduced(onCard, info.mode).layerTokens);
                CHECK(differing(ours, reduced(video, info.mode)) <= video.frames);
                continue;
            }
            TokenSettings settings;
            settings.mode = info.mode;
            settings.keep = info.mode == TokenMode::All ? 1 : 0.2;
            TokenSelection ours = makeTokenPolicy(settings).selector->select(onCard, {});
            const TokenSelection again = makeTokenPolicy(settings).selector->select(onCard, {});
            const TokenSelection expected = makeTokenPolicy(settings).selector->select(video, {});
            CHECK(ours.kept.device().is_cuda());
            CHECK(ours.kept.equal(again.kept));
            // Sums in another order may turn a decision that hangs on the last bit.
            const int apart = differing(ours.run, expected.run);
            CHECK(apart <= expected.run.keptCells / 50);
            if (ours.features.defined()) {
                CHECK(ours.features.equal(again.features));
                if (apart == 0) {
                    const auto error = (ours.features.to(at::kCPU) - expected.features).abs().max();
                    CHECK(error.item<float>() < 1e-3F);
                }
            }
            const TokenLayout layout = layoutTokens(ours, NewlineMode::Grid);
            CHECK(layout.source.device().is_cuda());
        }
    }
}
