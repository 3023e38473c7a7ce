#include "accel/policies/tokens/share_selector.h"

#include <algorithm>
#include <cmath>

#include "accel/policies/tokens/token_selection.h"
#include "accel/runtime/cancelled.h"
#include "core/base/clock.h"

namespace canopy::accel {

TokenSelection ShareSelector::select(const VideoTokens& video, const std::stop_token& stop) {
    const double begin = steadySeconds();
    const TokenRun start = startRun(m_settings, video);
    const double cells = start.cells();
    const int budget = std::max(1, static_cast<int>(std::nearbyint(cells * m_settings.keep)));
    double share = m_settings.keep;
    for (;;) {
        throwIfStopped(stop);
        TokenRun run = start;
        TokenPick picked = pick(video, share, run, stop);
        TokenSelection selection = keepCells(std::move(run), picked.cells, video.features.device());
        selection.features = std::move(picked.features);
        selection.sequence = std::move(picked.sequence);
        selection.run.mergedInto = std::move(picked.mergedInto);
        TokenRun& done = selection.run;
        done.budget = budget;
        if (m_settings.accounting == BudgetAccounting::AllTokens) {
            const int newlines = newlineCount(done, done.kept);
            const int excess = done.keptCells + newlines - budget;
            const double least = 1.0 / cells;
            if (excess > 0 && share > least) {
                // As if newlines stayed: they become fewer, so the next pick fits or is closer.
                const double fewer = std::max(1, done.keptCells - excess);
                share = std::max(share * fewer / done.keptCells, least);
                continue;
            }
            if (excess > 0)
                addNote(done, kNewlinesExceed);
            done.budget = std::max(1, budget - newlines);
        }
        done.selectSeconds = steadySeconds() - begin;
        return selection;
    }
}

} // namespace canopy::accel
