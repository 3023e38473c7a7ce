#pragma once

#include <ATen/core/Tensor.h>

#include "accel/nn/forward_context.h"

namespace canopy::accel {

/// Softmax attention over all keys, or block-causal by frame blocks when the call says so. [1, L_q, H, D].
at::Tensor denseAttention(const AttentionCall& call);

} // namespace canopy::accel
