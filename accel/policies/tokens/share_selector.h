#pragma once

#include <optional>

#include "accel/nn/token_hooks.h"

namespace canopy::accel {

/// What a method chose for one video.
struct TokenPick {
    std::vector<std::int32_t> cells;      ///< ascending
    at::Tensor features;                  ///< see TokenSelection
    std::vector<std::int32_t> sequence;   ///< see TokenSelection
    std::vector<std::int32_t> mergedInto; ///< see TokenRun; empty = nothing was merged
};

/// A method that is given a share of the cells and whose choices for two shares are not nested. Where the
/// budget counts newlines as well, the share is lowered until cells and newlines fit into it.
class ShareSelector : public TokenSelector {
public:
    /// `settings` resolved.
    explicit ShareSelector(const TokenSettings& settings)
        : m_settings(settings) {}
    TokenSelection select(const VideoTokens& video, const std::stop_token& stop) final;

protected:
    const TokenSettings& settings() const { return m_settings; }
    /// 0 < share <= 1. Adds notes to the run; changes nothing else in it.
    virtual TokenPick pick(const VideoTokens& video, double share, TokenRun& run,
                           const std::stop_token& stop) = 0;

private:
    TokenSettings m_settings;
};

} // namespace canopy::accel
