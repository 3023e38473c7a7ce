// Time of each token mode, features in memory -> kept cells on the device, and of root merging: the published
// loop beside the equivalent that the forests use. Rounds are interleaved over the modes, medians printed.
//
//   token_forest_bench [threads = 2] [rounds = 5]
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "accel/policies/tokens/gprune_candidates.h"
#include "accel/policies/tokens/root_merging.h"
#include "accel/policies/tokens/token_forest.h"
#include "accel/policies/tokens/token_policies.h"
#include "core/base/clock.h"

namespace {

using namespace canopy;
using namespace canopy::accel;

struct Size {
    const char* name;
    int frames, side, width;
    bool still; ///< one picture with noise; otherwise nothing resembles anything and all candidates are roots
};

constexpr Size kSizes[] = {
    {"T=64 13x13 D=3584 random", 64, 13, 3584, false}, {"T=64 13x13 D=3584 still", 64, 13, 3584, true},
    {"T=16 14x14 D=320 still", 16, 14, 320, true},     {"T=8 14x14 D=320 random", 8, 14, 320, false},
    {"T=8 14x14 D=320 still", 8, 14, 320, true},
};

VideoTokens makeVideo(const Size& size) {
    const std::int64_t cells = std::int64_t{size.side} * size.side;
    VideoTokens video;
    video.frames = size.frames;
    video.rows = video.columns = size.side;
    video.features = at::randn({size.frames, cells, size.width});
    if (size.still)
        video.features = 0.2 * video.features + at::randn({1, cells, size.width});
    video.attention = at::rand({size.frames, cells});
    video.keys = at::randn({size.frames, cells, 72});
    video.pixelDifference = at::rand({size.frames, cells}) * 20;
    return video;
}

double median(std::vector<double> seconds) {
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
}

double secondsOf(const std::function<void()>& work) {
    const double start = steadySeconds();
    work();
    return steadySeconds() - start;
}

/// One call of a method inside the language model, on a sequence of the video's tokens alone.
double reduceSeconds(PrefillReducer& reducer, TokenMode mode, const VideoTokens& video) {
    PrefillPoint point;
    point.layer = mode == TokenMode::FastV ? 2 : 0;
    point.hidden = video.features.flatten(0, 1);
    point.videoIndex = at::arange(point.hidden.size(0));
    point.positions = point.videoIndex;
    point.frames = video.frames;
    point.patchesPerFrame = video.rows * video.columns;
    point.layers = 28;
    point.lastRowAttention = [&] { return video.attention.flatten(); };
    return secondsOf([&] { reducer.reduce(point); });
}

void timeModes(const Size& size, int rounds) {
    const VideoTokens video = makeVideo(size);
    std::map<TokenMode, std::vector<double>> times, candidates, forest, merge;
    std::map<TokenMode, TokenRun> last;
    for (int round = 0; round < rounds; ++round) {
        for (const TokenModeInfo& info : tokenModes()) {
            TokenSettings settings;
            settings.mode = info.mode;
            settings.keep = info.mode == TokenMode::All ? 1 : 0.1;
            const TokenPolicy policy = makeTokenPolicy(settings);
            double inside = 0;
            if (policy.reducer)
                inside = reduceSeconds(*policy.reducer, info.mode, video);
            times[info.mode].push_back(
                inside + secondsOf([&] { last[info.mode] = policy.selector->select(video, {}).run; }));
            candidates[info.mode].push_back(last[info.mode].candidateSeconds);
            forest[info.mode].push_back(last[info.mode].forestSeconds);
            merge[info.mode].push_back(last[info.mode].mergeSeconds);
        }
    }
    std::printf("\n%s, 10 %% kept\n%-16s %9s %11s %8s %8s %7s %6s\n", size.name, "mode", "ms", "candidates",
                "forest", "merging", "roots", "kept");
    for (const TokenModeInfo& info : tokenModes()) {
        const TokenMode mode = info.mode;
        std::printf("%-16s %9.1f", std::string(info.name).c_str(), 1e3 * median(times[mode]));
        if (info.kind == TokenModeKind::Forest)
            std::printf(" %11.1f %8.1f %8.1f %7d", 1e3 * median(candidates[mode]), 1e3 * median(forest[mode]),
                        1e3 * median(merge[mode]), last[mode].roots);
        else
            std::printf(" %11s %8s %8s %7s", "", "", "", "");
        std::printf(" %6d%s\n", last[mode].keptCells,
                    info.insideModel ? "  first call inside the model" : "");
    }
}

/// The published loop: a pass over all pairs of standing roots for each link. Seconds for `links` of them.
double publishedLoopSeconds(const TokenForest& forest, std::int64_t links) {
    const std::int64_t count = forest.cosines.size(0);
    auto pairs = forest.cosines.t().triu(1) + at::full({count, count}, -9.0).tril();
    return secondsOf([&] {
        for (std::int64_t i = 0; i < links; ++i) {
            const auto best = pairs.argmax().item<std::int64_t>();
            pairs.select(0, best % count).fill_(-9);
            pairs.select(1, best % count).fill_(-9);
        }
    });
}

void timeMerging(int frames, int rounds) {
    const VideoTokens video = makeVideo({"", frames, 13, 256, false});
    const auto cells = gpruneCandidates(video.features, 84).cells;
    const TokenForest forest = buildForest(video.features, cells, 13, 13, {}, {});
    std::vector<double> fast;
    for (int round = 0; round < rounds; ++round)
        fast.push_back(secondsOf([&] { eliminateRoots(forest, {}); }));
    const auto roots = static_cast<std::int64_t>(forest.roots.size());
    const std::int64_t needed = roots - roots / 5; // 10 % of the cells kept
    const std::int64_t timed = std::min<std::int64_t>(needed, 200);
    const double perLink = publishedLoopSeconds(forest, timed) / static_cast<double>(timed);
    std::printf("%6lld roots: whole order %8.1f ms; published loop %8.3f ms a link, %lld links timed; the "
                "%lld for 10 %% would take %.1f s (predicted)\n",
                static_cast<long long>(roots), 1e3 * median(fast), 1e3 * perLink,
                static_cast<long long>(timed), static_cast<long long>(needed),
                perLink * static_cast<double>(needed));
}

} // namespace

int main(int argc, char** argv) {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
    if (threads < 1 || rounds < 1) {
        std::fprintf(stderr, "usage: token_forest_bench [threads >= 1] [rounds >= 1]\n");
        return 2;
    }
    at::set_num_threads(threads);
    const c10::InferenceMode inference;
    std::printf("%d threads, %d rounds, medians\n", threads, rounds);
    for (const Size& size : kSizes)
        timeModes(size, rounds);
    std::printf("\nroot merging\n");
    for (const int frames : {4, 16, 64})
        timeMerging(frames, rounds);
    return 0;
}
