#pragma once

#include "accel/ops/attention.h"

// The CUDA half of accel/ops/attention.h; arguments have been checked there.
namespace canopy::accel::ops {

/// Whether attendOnCard() takes these tensors: bfloat16 on a card that loadCuda() opened, head dimension 64
/// or 128, at least one query and one key, at most 2^16 blocks of 64 keys, scale above 0.
bool hasCardKernel(const at::Tensor& q, const at::Tensor& k, double scale);

/// Whether the card's kernel beats LibTorch's attention where both can do it: on a Hopper card, except dense
/// with head dimension 64 over long sequences, where cuDNN's is faster and its plan is worth building.
bool isCardKernelFastest(const at::Tensor& q, const at::Tensor& k, const AttentionOptions& options);

enum class CardForm {
    ForThisCard,
    Mma, ///< the one for cards other than Hopper's; for tests
};

/// By our kernel on the current stream: dense, causal, block lists and ranges. `wantsSum` fills logSumExp
/// too. Lists and ranges of the host travel through pinned memory, so that nothing waits for the card.
AttentionOutput attendOnCard(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                             const AttentionOptions& options, bool wantsSum,
                             CardForm form = CardForm::ForThisCard);

} // namespace canopy::accel::ops
