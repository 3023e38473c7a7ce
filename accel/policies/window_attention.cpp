#include "accel/policies/window_attention.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <vector>

#include "accel/nn/attention.h"

namespace canopy::accel {

at::Tensor WindowAttention::attend(const AttentionCall& call) {
    const std::int64_t perFrame = call.grid.tokensPerFrame();
    // Keys of earlier chunks stand before the pass's own.
    const std::int64_t ownStart = call.k.size(1) - call.q.size(1);
    const std::int64_t keyFrames = call.k.size(1) / perFrame;
    std::vector<at::Tensor> parts;
    for (int f = 0; f < call.grid.frames; ++f) {
        const std::int64_t centre = ownStart / perFrame + f;
        const std::int64_t first = std::max<std::int64_t>(0, centre - m_frames);
        const std::int64_t last = std::min<std::int64_t>(keyFrames, centre + m_frames + 1);
        AttentionCall part = call;
        part.causalBlockFrames = 0;
        part.q = call.q.narrow(1, f * perFrame, perFrame);
        part.k = call.k.narrow(1, first * perFrame, (last - first) * perFrame);
        part.v = call.v.narrow(1, first * perFrame, (last - first) * perFrame);
        part.grid.frames = 1;
        parts.push_back(denseAttention(part));
    }
    return at::cat(parts, 1);
}

} // namespace canopy::accel
