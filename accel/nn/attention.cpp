#include "accel/nn/attention.h"

#include <algorithm>

#include "accel/ops/attention.h"

namespace canopy::accel {

at::Tensor denseAttention(const AttentionCall& call) {
    ops::AttentionOptions options;
    if (call.causalBlockFrames > 0) {
        const std::int64_t queries = call.q.size(1);
        const std::int64_t earlier = call.k.size(1) - queries; // keys of finished chunks, seen by all
        const std::int64_t block = call.causalBlockFrames * call.grid.tokensPerFrame();
        for (std::int64_t first = 0; first < queries; first += block) {
            const std::int64_t end = std::min(first + block, queries);
            options.ranges.push_back({first, end, {{0, earlier + end}}});
        }
    }
    return ops::attention(call.q, call.k, call.v, options);
}

} // namespace canopy::accel
