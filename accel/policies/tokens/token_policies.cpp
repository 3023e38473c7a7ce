#include "accel/policies/tokens/token_policies.h"

#include <numeric>

#include "accel/policies/tokens/forest_selector.h"
#include "accel/policies/tokens/token_selection.h"
#include "core/base/clock.h"

namespace canopy::accel {
namespace {

/// Keeps every cell: All, and the modes that choose inside the language model.
class KeepAll : public TokenSelector {
public:
    explicit KeepAll(const TokenSettings& settings)
        : m_settings(settings) {}
    TokenSelection select(const VideoTokens& video, const std::stop_token&) override {
        const double begin = steadySeconds();
        TokenRun run = startRun(m_settings, video);
        std::vector<std::int32_t> cells(static_cast<std::size_t>(run.cells()));
        std::iota(cells.begin(), cells.end(), 0);
        const auto device = video.features.device();
        TokenSelection selection;
        if (m_settings.mode == TokenMode::All) {
            run.settings.keep = 1;
            run.settings.accounting = BudgetAccounting::Cells;
            selection = keepInOrder(std::move(run), cells, device);
        } else {
            run.budget = tokenBudget(run, m_settings.keep);
            selection = keepCells(std::move(run), cells, device);
        }
        selection.run.selectSeconds = steadySeconds() - begin;
        return selection;
    }

private:
    TokenSettings m_settings;
};

} // namespace

TokenPolicy makeTokenPolicy(const TokenSettings& settings) {
    const TokenSettings resolved = resolveTokenSettings(settings);
    TokenPolicy policy;
    switch (resolved.mode) {
    case TokenMode::ForestCode:
    case TokenMode::ForestPaper:
    case TokenMode::ForestBalanced:
        policy.selector = std::make_unique<ForestSelector>(resolved);
        break;
    case TokenMode::GPrune:
        policy.selector = std::make_unique<GPruneSelector>(resolved);
        break;
    default:
        policy.selector = std::make_unique<KeepAll>(resolved);
        break;
    }
    return policy;
}

} // namespace canopy::accel
