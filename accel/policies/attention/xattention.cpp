#include "accel/policies/attention/xattention.h"

#include <ATen/ops/tensor.h>

#include <utility>

namespace canopy::accel {

XAttention::XAttention(HeadThresholds tau, int stride, bool keepsFirst)
    : m_tau(std::move(tau))
    , m_stride(stride)
    , m_keepsFirst(keepsFirst) {}

ops::BlockScoreOptions XAttention::optionsFor(const AttentionCall& call,
                                              const std::vector<std::int64_t>& heads) const {
    ops::BlockScoreOptions options;
    options.stride = m_stride;
    options.keepsFirst = m_keepsFirst;
    std::vector<float> tau;
    for (const std::int64_t h : heads)
        tau.push_back(static_cast<float>(m_tau.at(call.layer, h)));
    // The driver has taken a copy when this returns; waiting for it would stop the queue.
    options.tau = at::tensor(tau, at::kFloat).to(call.q.device(), /*non_blocking=*/true);
    return options;
}

} // namespace canopy::accel
