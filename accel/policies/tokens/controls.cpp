#include "accel/policies/tokens/controls.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "accel/policies/tokens/counter_random.h"
#include "accel/policies/tokens/token_selection.h"
#include "core/base/clock.h"

namespace canopy::accel {
namespace {

using Cells = std::vector<std::int32_t>;

int cellsPerFrame(const VideoTokens& video) {
    return video.rows * video.columns;
}

Cells iota(int count) {
    Cells cells(static_cast<std::size_t>(count));
    std::iota(cells.begin(), cells.end(), 0);
    return cells;
}

/// round(share * cells), at least 1.
int budgetOf(const VideoTokens& video, double share) {
    const int cells = video.frames * cellsPerFrame(video);
    return std::clamp(static_cast<int>(std::nearbyint(share * cells)), 1, cells);
}

/// Parts of `budget` by weight; their sum is the budget.
std::vector<int> divide(int budget, const std::vector<double>& weights) {
    const double whole = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<int> parts;
    double until = 0;
    int given = 0;
    for (const double weight : weights) {
        until += weight;
        const int target = static_cast<int>(std::nearbyint(budget * until / whole));
        parts.push_back(target - given);
        given = target;
    }
    return parts;
}

std::vector<int> divideEvenly(int budget, int frames) {
    return divide(budget, std::vector<double>(static_cast<std::size_t>(frames), 1.0));
}

/// Value that a share q of `values` does not exceed, linear between neighbours.
double quantile(std::vector<float> values, double q) {
    std::sort(values.begin(), values.end());
    const double place = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const auto above = std::min(below + 1, values.size() - 1);
    const double low = static_cast<double>(values[below]);
    return low + (static_cast<double>(values[above]) - low) * (place - static_cast<double>(below));
}

/// `count` of `cells` without replacement, each draw proportional to its weight; fewer when weights run out.
Cells drawWeighted(const Cells& cells, const std::vector<float>& weights, int count, CounterRandom& random) {
    Cells open;
    for (const std::int32_t cell : cells)
        if (weights[static_cast<std::size_t>(cell)] > 0)
            open.push_back(cell);
    Cells drawn;
    while (static_cast<int>(drawn.size()) < count && !open.empty()) {
        double sum = 0;
        for (const std::int32_t cell : open)
            sum += static_cast<double>(weights[static_cast<std::size_t>(cell)]);
        const double mark = random.uniform() * sum;
        double reached = 0;
        std::size_t hit = 0;
        for (; hit + 1 < open.size(); ++hit) {
            reached += static_cast<double>(weights[static_cast<std::size_t>(open[hit])]);
            if (reached > mark)
                break;
        }
        drawn.push_back(open[hit]);
        open.erase(open.begin() + static_cast<std::ptrdiff_t>(hit));
    }
    return drawn;
}

} // namespace

TokenSelection UniformRandomSelector::select(const VideoTokens& video, const std::stop_token&) {
    const double begin = steadySeconds();
    Cells order = iota(video.frames * cellsPerFrame(video));
    CounterRandom(m_settings.seed).shuffle(order);
    TokenSelection selection = keepInOrder(startRun(m_settings, video), order, video.features.device());
    selection.run.selectSeconds = steadySeconds() - begin;
    return selection;
}

TokenPick StrideSelector::pick(const VideoTokens& video, double share, TokenRun&, const std::stop_token&) {
    const int N = cellsPerFrame(video);
    const std::vector<int> counts = divideEvenly(budgetOf(video, share), video.frames);
    TokenPick pick;
    for (int frame = 0; frame < video.frames; ++frame) {
        const int count = counts[static_cast<std::size_t>(frame)];
        for (int i = 0; i < count; ++i)
            pick.cells.push_back(frame * N + (static_cast<int>(std::int64_t{i} * N / count) + frame) % N);
    }
    std::sort(pick.cells.begin(), pick.cells.end());
    return pick;
}

TokenPick FrameSkipSelector::pick(const VideoTokens& video, double share, TokenRun& run,
                                  const std::stop_token&) {
    const int N = cellsPerFrame(video);
    const int count = std::clamp(static_cast<int>(std::nearbyint(share * video.frames)), 1, video.frames);
    if (count * N != budgetOf(video, share))
        addNote(run,
                "Whole frames are kept, so the number of tokens is the nearest that whole frames give, and "
                "at least one frame's.");
    TokenPick pick;
    for (int i = 0; i < count; ++i) {
        // The middle of each of `count` equal parts.
        const auto frame = static_cast<int>((2 * std::int64_t{i} + 1) * video.frames / (2 * count));
        for (int cell = 0; cell < N; ++cell)
            pick.cells.push_back(frame * N + cell);
    }
    return pick;
}

TokenPick RegionCycleSelector::pick(const VideoTokens& video, double share, TokenRun&,
                                    const std::stop_token&) {
    constexpr int kRegions = 10;
    const int N = cellsPerFrame(video);
    Cells regions = iota(kRegions);
    CounterRandom(settings().seed).shuffle(regions);
    std::vector<Cells> cellsOf(kRegions);
    for (int cell = 0; cell < N; ++cell)
        cellsOf[static_cast<std::size_t>((3 * (cell / video.columns) + 7 * (cell % video.columns)) %
                                         kRegions)]
            .push_back(cell);
    const int step = std::max(1, static_cast<int>(std::nearbyint(share * kRegions)));
    const std::vector<int> counts = divideEvenly(budgetOf(video, share), video.frames);
    TokenPick pick;
    for (int frame = 0; frame < video.frames; ++frame) {
        int left = counts[static_cast<std::size_t>(frame)];
        for (int i = 0; i < kRegions && left > 0; ++i) {
            const auto place = static_cast<std::size_t>((std::int64_t{frame} * step + i) % kRegions);
            for (const std::int32_t cell : cellsOf[static_cast<std::size_t>(regions[place])])
                if (left-- > 0)
                    pick.cells.push_back(frame * N + cell);
        }
    }
    std::sort(pick.cells.begin(), pick.cells.end());
    return pick;
}

TokenPick PixelDiffSelector::pick(const VideoTokens& video, double share, TokenRun& run,
                                  const std::stop_token&) {
    const int N = cellsPerFrame(video);
    const std::vector<float> all = toHost(video.pixelDifference);
    std::vector<double> weights(static_cast<std::size_t>(video.frames), 1.0);
    weights.front() = 2;
    const std::vector<int> counts = divide(budgetOf(video, share), weights);
    CounterRandom random(settings().seed);
    if (video.frames > 1)
        addNote(run,
                "The numbers of cells are scaled so that frame 0, which gets twice as many as published, "
                "does not exceed the budget.");
    TokenPick pick;
    Cells before;
    int owed = 0; // what a full frame could not take
    for (int frame = 0; frame < video.frames; ++frame) {
        const int wanted = counts[static_cast<std::size_t>(frame)] + owed;
        const int count = std::min(wanted, N);
        owed = wanted - count;
        Cells kept;
        Cells others = iota(N);
        if (frame > 0) {
            const auto first = all.begin() + static_cast<std::ptrdiff_t>(frame) * N;
            const std::vector<float> difference(first, first + N);
            const double least = quantile(difference, 0.7);
            Cells candidates;
            for (const std::int32_t cell : others)
                if (static_cast<double>(difference[static_cast<std::size_t>(cell)]) >= least &&
                    !std::binary_search(before.begin(), before.end(), cell))
                    candidates.push_back(cell);
            kept = drawWeighted(candidates, difference, count, random);
            std::sort(kept.begin(), kept.end());
        }
        std::erase_if(others,
                      [&](std::int32_t cell) { return std::binary_search(kept.begin(), kept.end(), cell); });
        random.shuffle(others);
        others.resize(static_cast<std::size_t>(count) - kept.size());
        kept.insert(kept.end(), others.begin(), others.end());
        std::sort(kept.begin(), kept.end());
        for (const std::int32_t cell : kept)
            pick.cells.push_back(frame * N + cell);
        before = std::move(kept);
    }
    return pick;
}

} // namespace canopy::accel
