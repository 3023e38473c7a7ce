#pragma once

#include "accel/policies/tokens/share_selector.h"

namespace canopy::accel {

/// Constants of HoliTom's outer part (arXiv 2505.21334; token-forest.md 3.3).
struct HoliTomSettings {
    double staticAbove = 0.8; ///< tau: cosine of a cell with itself in the next frame
    double beta = 0.6;        ///< weight of a cluster's centre
    int neighbours = 7;       ///< of the density, at most the number of centres
    bool plainMean = false;   ///< a cluster becomes the mean of its centre and members instead
};

/// Frames first..last whose static cells become one copy each, in frame `first`.
struct HoliTomWindow {
    int first = 0;
    int last = 0;
    std::vector<std::int32_t> staticCells; ///< of the frame, ascending; none in a window of one frame
};

struct HoliTomPlan {
    std::vector<HoliTomWindow> windows;
    std::int64_t gain = 0;     ///< tokens that one copy each saves, summed over windows
    double effectiveShare = 1; ///< share / (what is left), at most 1
};

/// Windows of the largest total gain (#static cells x (frames - 1)) by dynamic programming; of equal gains
/// the one whose last window is shortest, so that frames without static cells stand alone. `isStatic`
/// [T-1][N]: cell n hardly changes from frame t to t + 1.
HoliTomPlan planWindows(const std::vector<std::vector<bool>>& isStatic, int frames, int cellsPerFrame,
                        double share);

struct HoliTomResult {
    HoliTomPlan plan;
    at::Tensor cells;      ///< int64 [n], ascending
    at::Tensor features;   ///< float32 [n, D]
    at::Tensor mergedInto; ///< int64 [T N]
    /// Places in `cells` as the method orders tokens without row newlines: of each window the static ones
    /// first, then frame by frame the others.
    std::vector<std::int32_t> sequence;
};

/// `features` float32 [T, N, D], `attention` float32 [T, N]. Copied to the host: which cells are static, and
/// the chosen cells.
HoliTomResult holiTom(const at::Tensor& features, const at::Tensor& attention, double share,
                      const HoliTomSettings& settings = {});

class HoliTomSelector : public ShareSelector {
public:
    using ShareSelector::ShareSelector;
    bool needsAttention() const override { return true; }

protected:
    TokenPick pick(const VideoTokens& video, double share, TokenRun& run,
                   const std::stop_token& stop) override;
};

} // namespace canopy::accel
