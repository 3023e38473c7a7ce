#pragma once

#include <vector>

#include "accel/nn/token_hooks.h"

namespace canopy::accel {

/// What a reduction inside the language model leaves behind: lengths per layer, and where each patch of the
/// unpruned video went. Tensors stay on the device until write().
class PrefillRecord {
public:
    /// To be called at every point, with the length after the point's reduction.
    void note(const PrefillPoint& point, std::int64_t lengthAfter);
    /// Patches `from` int64 [m] were folded into patches `into` [m].
    void noteMerge(const at::Tensor& from, const at::Tensor& into);
    /// The sequence's videoIndex after the last reduction.
    void noteLeft(const at::Tensor& videoIndex) { m_left = videoIndex; }

    /// run.layerTokens, run.kept (cells left after the last layer) and, where something was merged,
    /// run.mergedInto. Copies to the host.
    void write(TokenRun& run) const;

private:
    std::vector<int> m_layerTokens;
    std::vector<at::Tensor> m_from, m_into;
    at::Tensor m_left;
};

/// Ascending places of a sequence that are no patch of the video (false) or are one (true): int64.
at::Tensor placesOf(const at::Tensor& videoIndex, bool patches);

} // namespace canopy::accel
