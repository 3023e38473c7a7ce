#pragma once

#include "accel/policies/tokens/share_selector.h"

namespace canopy::accel {

/// DyCoke's temporal step (arXiv 2411.15024; token-forest.md 3.6). Of each four frames the first is kept
/// whole; the second and fourth keep the cells least similar to the frame before, the third those least
/// similar to the first. The pruned frames share what the budget leaves beside the whole ones, so that
/// retention cannot go below the share of whole frames.
class DyCokeSelector : public ShareSelector {
public:
    using ShareSelector::ShareSelector;

protected:
    TokenPick pick(const VideoTokens& video, double share, TokenRun& run,
                   const std::stop_token& stop) override;
};

} // namespace canopy::accel
