#pragma once

#include "accel/policies/tokens/share_selector.h"

namespace canopy::accel {

/// Constants of FastVID (arXiv 2503.11187; token-forest.md 3.2).
struct FastVidSettings {
    int segments = 8;          ///< c: at least this many, one more than the forced cuts
    double cutBelow = 0.9;     ///< tau: cosine of neighbouring frames' global vectors
    double contextShare = 0.4; ///< d: of a frame's tokens
    int anchorStep = 4;        ///< p: frames between anchors
    double beta = 0.6;         ///< least weight of a context token in its own merge
};

struct FastVidResult {
    at::Tensor cells;      ///< int64 [n], ascending
    at::Tensor features;   ///< float32 [n, D]
    at::Tensor mergedInto; ///< int64 [T N]: the context token that a cell resembles most, or -1
    std::vector<int> segmentSizes;
    std::vector<int> contextPerFrame;
};

/// `features` float32 [T, N, D], `attention` float32 [T, N], `global` float32 [T, G]. The cosines of
/// neighbouring frames are copied to the host, where segments are cut; all else stays on the device.
FastVidResult fastVid(const at::Tensor& features, const at::Tensor& attention, const at::Tensor& global,
                      double share, const FastVidSettings& settings = {});

/// FastVID with substitutes for SigLIP's pooling head, which LLaVA checkpoints lack: a frame's global vector
/// is the mean of its tokens, attention is that received in the tower's last block.
class FastVidSelector : public ShareSelector {
public:
    using ShareSelector::ShareSelector;
    bool needsAttention() const override { return true; }

protected:
    TokenPick pick(const VideoTokens& video, double share, TokenRun& run,
                   const std::stop_token& stop) override;
};

} // namespace canopy::accel
