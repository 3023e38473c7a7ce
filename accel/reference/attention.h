#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace canopy::accel::reference {

struct AttentionResult {
    at::Tensor out;       ///< [B, Lq, H, D] float32
    at::Tensor logSumExp; ///< [B, H, Lq] float32, natural logarithm; -inf where a query sees no key
};

/// Which keys the queries [begin, end) may see: bool, broadcastable to [B, H, end - begin, Lk]; undefined
/// means all.
using AttentionMask = std::function<at::Tensor(std::int64_t begin, std::int64_t end)>;

/// softmax(scale q k^T) v in float32 on the tensors' device, in chunks of queries, so that no more than
/// B * H * 512 * Lk scores exist at once. A query without keys gives 0.
/// q [B, Lq, H, D], k and v [B, Lk, H, D], any strides and floating dtype.
AttentionResult attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                          const AttentionMask& mask = {});

} // namespace canopy::accel::reference
