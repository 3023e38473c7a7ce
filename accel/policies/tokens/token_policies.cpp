#include "accel/policies/tokens/token_policies.h"

#include <numeric>

#include "accel/policies/tokens/controls.h"
#include "accel/policies/tokens/dycoke.h"
#include "accel/policies/tokens/fastv.h"
#include "accel/policies/tokens/fastvid.h"
#include "accel/policies/tokens/forest_selector.h"
#include "accel/policies/tokens/framefusion.h"
#include "accel/policies/tokens/holitom.h"
#include "accel/policies/tokens/token_selection.h"
#include "accel/policies/tokens/visionzip.h"
#include "core/base/clock.h"

namespace canopy::accel {
namespace {

/// Keeps every cell: All, and the modes that choose inside the language model.
class KeepAll : public TokenSelector {
public:
    KeepAll(const TokenSettings& resolved, const TokenSettings& asked)
        : m_settings(resolved)
        , m_asked(asked) {}
    TokenSelection select(const VideoTokens& video, const std::stop_token&) override {
        const double begin = steadySeconds();
        TokenRun run = startRun(m_settings, video);
        std::vector<std::int32_t> cells(static_cast<std::size_t>(run.cells()));
        std::iota(cells.begin(), cells.end(), 0);
        const bool newlinesAsked =
            m_asked.newlines != NewlinePolicy::Auto && m_asked.newlines != m_settings.newlines;
        const bool positionsAsked =
            m_asked.positions != PositionPolicy::Auto && m_asked.positions != m_settings.positions;
        if (newlinesAsked || positionsAsked)
            addNote(run, "The language model is given the unpruned sequence, so the choices of newlines and "
                         "positions do not apply.");
        if (m_settings.mode != TokenMode::All && m_settings.accounting == BudgetAccounting::AllTokens)
            addNote(run, "Inside the language model the share counts newlines of rows in any case.");
        const auto device = video.features.device();
        TokenSelection selection;
        if (m_settings.mode == TokenMode::All) {
            run.settings.keep = 1;
            run.settings.accounting = BudgetAccounting::Cells;
            selection = keepInOrder(std::move(run), cells, device);
        } else {
            run.settings.accounting = BudgetAccounting::Cells;
            run.budget = tokenBudget(run, m_settings.keep);
            selection = keepCells(std::move(run), cells, device);
        }
        selection.run.selectSeconds = steadySeconds() - begin;
        return selection;
    }

private:
    TokenSettings m_settings;
    TokenSettings m_asked;
};

std::unique_ptr<TokenSelector> makeSelector(const TokenSettings& resolved, const TokenSettings& asked) {
    switch (resolved.mode) {
    case TokenMode::All:
    case TokenMode::FrameFusion:
    case TokenMode::FastV:
        return std::make_unique<KeepAll>(resolved, asked);
    case TokenMode::ForestCode:
    case TokenMode::ForestPaper:
    case TokenMode::ForestBalanced:
        return std::make_unique<ForestSelector>(resolved);
    case TokenMode::GPrune:
        return std::make_unique<GPruneSelector>(resolved);
    case TokenMode::FastVid:
        return std::make_unique<FastVidSelector>(resolved);
    case TokenMode::HoliTom:
        return std::make_unique<HoliTomSelector>(resolved);
    case TokenMode::VisionZip:
        return std::make_unique<VisionZipSelector>(resolved);
    case TokenMode::DyCoke:
        return std::make_unique<DyCokeSelector>(resolved);
    case TokenMode::UniformRandom:
        return std::make_unique<UniformRandomSelector>(resolved);
    case TokenMode::Stride:
        return std::make_unique<StrideSelector>(resolved);
    case TokenMode::FrameSkip:
        return std::make_unique<FrameSkipSelector>(resolved);
    case TokenMode::RegionCycle:
        return std::make_unique<RegionCycleSelector>(resolved);
    case TokenMode::PixelDiff:
        return std::make_unique<PixelDiffSelector>(resolved);
    }
    return nullptr;
}

} // namespace

TokenPolicy makeTokenPolicy(const TokenSettings& settings) {
    const TokenSettings resolved = resolveTokenSettings(settings);
    TokenPolicy policy;
    policy.selector = makeSelector(resolved, settings);
    if (resolved.mode == TokenMode::FastV)
        policy.reducer = std::make_unique<FastV>(resolved.keep);
    if (resolved.mode == TokenMode::FrameFusion) {
        FrameFusionSettings constants;
        constants.cost = resolved.keep;
        policy.reducer = std::make_unique<FrameFusion>(constants);
    }
    return policy;
}

} // namespace canopy::accel
