#pragma once

#include "accel/nn/token_hooks.h"

namespace canopy::accel {

/// forest_code, forest_paper and forest_balanced (token-forest.md 2.12). One run holds the priority of every
/// candidate, so that other budgets cost nothing (cutAt). Copies to the host: candidate cells and scores,
/// 40 bytes a node, the R x R cosines of roots; back: the kept cells. Of the stage times only their sum is
/// exact on a card, where work is still under way when a stage ends.
class ForestSelector : public TokenSelector {
public:
    /// `settings` resolved, of a forest mode.
    explicit ForestSelector(const TokenSettings& settings)
        : m_settings(settings) {}
    TokenSelection select(const VideoTokens& video, const std::stop_token& stop) override;

private:
    TokenSettings m_settings;
};

/// G-Prune alone: each frame's best cells by score. The order goes round the frames, one cell each, so that
/// any budget is spread evenly; at multiples of the frame count it is the published choice.
class GPruneSelector : public TokenSelector {
public:
    explicit GPruneSelector(const TokenSettings& settings)
        : m_settings(settings) {}
    TokenSelection select(const VideoTokens& video, const std::stop_token& stop) override;

private:
    TokenSettings m_settings;
};

} // namespace canopy::accel
