#include "accel/policies/tokens/holitom.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "accel/policies/tokens/token_math.h"
#include "accel/policies/tokens/token_selection.h"

namespace canopy::accel {
namespace {

/// Cells of one frame that are static throughout first..last.
std::vector<bool> staticThroughout(const std::vector<std::vector<bool>>& isStatic, int first, int last,
                                   int cells) {
    std::vector<bool> all(static_cast<std::size_t>(cells), last > first);
    for (int t = first; t < last; ++t)
        for (std::size_t n = 0; n < all.size(); ++n)
            all[n] = all[n] && isStatic[static_cast<std::size_t>(t)][n];
    return all;
}

/// Collects tokens with the cells they stand on.
class HoliTomBuilder {
public:
    HoliTomBuilder(const at::Tensor& features, const at::Tensor& attention, double share,
                   const HoliTomSettings& settings)
        : m_features(features)
        , m_attention(attention)
        , m_share(share)
        , m_settings(settings)
        , m_cellsPerFrame(features.size(1))
        , m_mergedInto(
              at::full({features.size(0) * m_cellsPerFrame}, -1, attention.options().dtype(at::kLong))) {}

    void addWindow(const HoliTomWindow& window) {
        std::vector<std::int64_t> fixed(window.staticCells.begin(), window.staticCells.end());
        if (!fixed.empty())
            addStatic(window, toDevice(fixed, m_features.device()));
        std::vector<std::int64_t> moving;
        auto next = window.staticCells.begin();
        for (std::int32_t n = 0; n < m_cellsPerFrame; ++n) {
            if (next != window.staticCells.end() && *next == n)
                ++next;
            else
                moving.push_back(n);
        }
        if (moving.empty())
            return;
        const auto index = toDevice(moving, m_features.device());
        for (int frame = window.first; frame <= window.last; ++frame)
            addMoving(frame, index);
    }

    void finish(HoliTomResult& result) const {
        const auto [ascending, order] = at::cat(m_cells).sort();
        result.cells = ascending;
        result.features = at::cat(m_tokens).index_select(0, order);
        result.mergedInto = m_mergedInto;
        // order[i] = place in the method's order of the i-th cell; its inverse says which cell comes next.
        const std::vector<std::int32_t> place = hostCells(order);
        result.sequence.resize(place.size());
        for (std::size_t i = 0; i < place.size(); ++i)
            result.sequence[static_cast<std::size_t>(place[i])] = static_cast<std::int32_t>(i);
    }

private:
    void addStatic(const HoliTomWindow& window, const at::Tensor& index) {
        const std::int64_t length = window.last - window.first + 1;
        const auto mean = m_features.narrow(0, window.first, length).mean(0).index_select(0, index); // [n, D]
        const std::int64_t n = mean.size(0);
        const auto centres =
            std::min<std::int64_t>(n, std::llrint(std::nearbyint(static_cast<double>(n) * m_share)));
        if (centres < 1)
            return;
        const auto peaks = densityPeaks(mean, std::min<std::int64_t>(m_settings.neighbours, centres));
        const auto centre = largest(peaks.score, centres);            // [m]
        const auto toCentre = peaks.distance.index_select(1, centre); // [n, m]
        auto group = firstArgmax(toCentre.neg());
        const auto member = others(centre, n);
        const auto memberGroup = group.index_select(0, member);
        const auto own = mean.index_select(0, centre);
        const auto rest = groupMeans(mean.index_select(0, member), memberGroup, centres);
        at::Tensor merged;
        if (m_settings.plainMean)
            merged = (own + rest.means * rest.count) / (rest.count + 1);
        else
            merged = m_settings.beta * own + (1 - m_settings.beta) * rest.means;
        const auto isAlone = rest.count == 0;
        m_tokens.push_back(at::where(isAlone, own, merged));
        const auto cells = index.index_select(0, centre) + window.first * m_cellsPerFrame;
        m_cells.push_back(cells);
        group = group.scatter(0, centre, at::arange(centres, group.options()));
        noteMerges(window, index, cells.index_select(0, group), cells);
    }
    void noteMerges(const HoliTomWindow& window, const at::Tensor& index, const at::Tensor& into,
                    const at::Tensor& kept) {
        for (int frame = window.first; frame <= window.last; ++frame)
            m_mergedInto.scatter_(0, index + frame * m_cellsPerFrame, into);
        m_mergedInto.index_fill_(0, kept, -1);
    }
    void addMoving(int frame, const at::Tensor& index) {
        const auto n = static_cast<double>(index.size(0));
        const auto count = std::clamp<std::int64_t>(std::llrint(std::ceil(n * m_share)), 1, index.size(0));
        const auto chosen = largest(m_attention.select(0, frame).index_select(0, index), count);
        const auto cells = index.index_select(0, chosen);
        m_tokens.push_back(m_features.select(0, frame).index_select(0, cells));
        m_cells.push_back(cells + frame * m_cellsPerFrame);
    }

    at::Tensor m_features, m_attention;
    double m_share;
    HoliTomSettings m_settings;
    std::int64_t m_cellsPerFrame;
    at::Tensor m_mergedInto;
    std::vector<at::Tensor> m_tokens, m_cells;
};

} // namespace

HoliTomPlan planWindows(const std::vector<std::vector<bool>>& isStatic, int frames, int cellsPerFrame,
                        double share) {
    // best[e]: largest gain of frames 0..e-1; from[e]: first frame of the window that ends before e.
    std::vector<std::int64_t> best(static_cast<std::size_t>(frames) + 1, -1);
    std::vector<int> from(static_cast<std::size_t>(frames) + 1, 0);
    best[0] = 0;
    for (int first = 0; first < frames; ++first) {
        std::vector<bool> fixed(static_cast<std::size_t>(cellsPerFrame), true);
        for (int last = first; last < frames; ++last) {
            if (last > first)
                for (std::size_t n = 0; n < fixed.size(); ++n)
                    fixed[n] = fixed[n] && isStatic[static_cast<std::size_t>(last) - 1][n];
            const std::int64_t gain = (last - first) * std::count(fixed.begin(), fixed.end(), true);
            const auto end = static_cast<std::size_t>(last) + 1;
            if (best[static_cast<std::size_t>(first)] + gain >= best[end]) {
                best[end] = best[static_cast<std::size_t>(first)] + gain;
                from[end] = first;
            }
        }
    }
    HoliTomPlan plan;
    plan.gain = best.back();
    for (int end = frames; end > 0; end = from[static_cast<std::size_t>(end)]) {
        HoliTomWindow window{from[static_cast<std::size_t>(end)], end - 1, {}};
        const auto fixed = staticThroughout(isStatic, window.first, window.last, cellsPerFrame);
        for (std::size_t n = 0; n < fixed.size(); ++n)
            if (fixed[n])
                window.staticCells.push_back(static_cast<std::int32_t>(n));
        plan.windows.push_back(std::move(window));
    }
    std::reverse(plan.windows.begin(), plan.windows.end());
    const double cells = static_cast<double>(frames) * cellsPerFrame;
    plan.effectiveShare = std::min(share / ((cells - static_cast<double>(plan.gain)) / cells), 1.0);
    return plan;
}

HoliTomResult holiTom(const at::Tensor& features, const at::Tensor& attention, double share,
                      const HoliTomSettings& settings) {
    const auto frames = static_cast<int>(features.size(0));
    const auto cells = static_cast<int>(features.size(1));
    const auto unit = unitRows(features);
    const std::vector<float> cosines =
        toHost((unit.narrow(0, 0, frames - 1) * unit.narrow(0, 1, frames - 1)).sum(-1)); // [T-1, N]
    std::vector<std::vector<bool>> isStatic(static_cast<std::size_t>(frames - 1));
    for (std::size_t i = 0; i < cosines.size(); ++i)
        isStatic[i / static_cast<std::size_t>(cells)].push_back(cosines[i] >
                                                                static_cast<float>(settings.staticAbove));
    HoliTomResult result;
    result.plan = planWindows(isStatic, frames, cells, share);
    HoliTomBuilder builder(features, attention, result.plan.effectiveShare, settings);
    for (const HoliTomWindow& window : result.plan.windows)
        builder.addWindow(window);
    builder.finish(result);
    return result;
}

TokenPick HoliTomSelector::pick(const VideoTokens& video, double share, TokenRun& run,
                                const std::stop_token&) {
    const HoliTomResult result = holiTom(video.features.to(at::kFloat), video.attention, share);
    addNote(run,
            "Of HoliTom the outer part runs, before the language model; its step inside the language model "
            "is left out.");
    if (result.plan.effectiveShare >= 1 && share < 1)
        addNote(run, "One copy of what stands still is less than the budget, so nothing more is dropped.");
    TokenPick pick;
    pick.cells = hostCells(result.cells);
    pick.features = result.features.to(video.features.scalar_type());
    pick.sequence = result.sequence;
    pick.mergedInto = hostCells(result.mergedInto);
    return pick;
}

} // namespace canopy::accel
