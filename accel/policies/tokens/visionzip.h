#pragma once

#include "accel/policies/tokens/share_selector.h"

namespace canopy::accel {

struct VisionZipResult {
    at::Tensor cells;    ///< int64 [T, m] of the frame: dominant ascending, then contextual ascending
    at::Tensor features; ///< float32 [T, m, D] in that order
    at::Tensor into;     ///< int64 [T, N]: cell of the frame that each cell was merged into, or -1
};

/// VisionZip as ported to video (arXiv 2412.04467; token-forest.md 3.4): of `tokens` a frame, int(tokens *
/// 54 / 64) are the most attended ones; of the others every step-th is a target that takes in those with the
/// closest keys: target + their mean. `features` float32 [T, N, D], `attention` [T, N], `keys` [T, N, d].
VisionZipResult visionZip(const at::Tensor& features, const at::Tensor& attention, const at::Tensor& keys,
                          std::int64_t tokens);

/// round(share * N) tokens a frame, half to even.
class VisionZipSelector : public ShareSelector {
public:
    using ShareSelector::ShareSelector;
    bool needsAttention() const override { return true; }
    bool needsKeys() const override { return true; }

protected:
    TokenPick pick(const VideoTokens& video, double share, TokenRun& run,
                   const std::stop_token& stop) override;
};

} // namespace canopy::accel
