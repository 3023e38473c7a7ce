#include "accel/policies/attention/top_k_blocks.h"

#include <algorithm>
#include <cmath>

#include "accel/kernels/cpu/block_attention.h"

namespace canopy::accel {

ops::BlockScoreOptions TopKBlocks::optionsFor(const AttentionCall& call,
                                              const std::vector<std::int64_t>& /*heads*/) const {
    const std::int64_t blocks = (call.q.size(1) + kernels::kAttentionBlock - 1) / kernels::kAttentionBlock;
    ops::BlockScoreOptions options;
    options.stride = m_stride;
    options.keepsFirst = false;
    options.keptBlocks = std::max<std::int64_t>(1, std::llround(m_share * static_cast<double>(blocks)));
    return options;
}

} // namespace canopy::accel
