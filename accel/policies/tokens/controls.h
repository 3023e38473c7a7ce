#pragma once

#include "accel/policies/tokens/share_selector.h"

namespace canopy::accel {

// What any method has to beat (token-forest.md 3.7). Each spends the budget as evenly over the frames as
// whole numbers allow, so that comparisons stand at equal token counts.

/// K cells, all equally likely: the first K of one permutation drawn by CounterRandom(seed).
class UniformRandomSelector : public TokenSelector {
public:
    explicit UniformRandomSelector(const TokenSettings& settings)
        : m_settings(settings) {}
    TokenSelection select(const VideoTokens& video, const std::stop_token& stop) override;

private:
    TokenSettings m_settings;
};

/// Every 1/b-th cell of a frame, moved on by one cell from frame to frame.
class StrideSelector : public ShareSelector {
public:
    using ShareSelector::ShareSelector;

protected:
    TokenPick pick(const VideoTokens& video, double share, TokenRun& run,
                   const std::stop_token& stop) override;
};

/// round(b T) whole frames, at least one, evenly spread.
class FrameSkipSelector : public ShareSelector {
public:
    using ShareSelector::ShareSelector;

protected:
    TokenPick pick(const VideoTokens& video, double share, TokenRun& run,
                   const std::stop_token& stop) override;
};

/// Ten regions, region = (3 row + 7 column) mod 10, in an order drawn by CounterRandom(seed). Frame t begins
/// at place t m of it, m = regions that a frame's budget fills, and takes cells region by region. The
/// published control keeps one whole region of each frame (10 %); the last region here may be cut to the
/// budget.
class RegionCycleSelector : public ShareSelector {
public:
    using ShareSelector::ShareSelector;

protected:
    TokenPick pick(const VideoTokens& video, double share, TokenRun& run,
                   const std::stop_token& stop) override;
};

/// Frame 0: cells at random, twice the other frames' number. Then, without replacement and with a probability
/// proportional to the pixel difference to the frame before, from the cells whose difference reaches the 0.7
/// quantile and that the frame before did not keep; topped up at random from the others. The published
/// control keeps (T + 1) / T of the share; here the numbers are scaled so that the whole keeps the share. One
/// copy of the differences to the host.
class PixelDiffSelector : public ShareSelector {
public:
    using ShareSelector::ShareSelector;
    bool needsPixels() const override { return true; }

protected:
    TokenPick pick(const VideoTokens& video, double share, TokenRun& run,
                   const std::stop_token& stop) override;
};

} // namespace canopy::accel
