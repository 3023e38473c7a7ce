#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>
#include <vector>

#include "accel/nn/linear.h"
#include "core/formats/model_config.h"

namespace canopy::accel {

class WeightReader;

/// UMT5 encoder: pre-norm blocks, no scaling of logits, a relative position table of its own in every layer,
/// gated tanh-GELU. L = tokens, M = model dim. Owns weights only. Home thread: the inference thread.
class Umt5Encoder {
public:
    Umt5Encoder(const Umt5Config& config, WeightReader& weights);
    ~Umt5Encoder();

    /// ids int64 [L], mask int64 [L] (1 = a token of the text). Returns the last hidden state [L, M].
    /// `tap` sees "block<i>.after_attention" and "block<i>".
    at::Tensor encode(const at::Tensor& ids, const at::Tensor& mask, std::stop_token stop,
                      const std::function<void(std::string_view, const at::Tensor&)>& tap = {}) const;
    /// The same with rows after the true length set to zero: what Wan's pipelines pass on.
    at::Tensor promptEmbeds(const at::Tensor& ids, const at::Tensor& mask, std::stop_token stop) const;

    /// Position bias of one layer [H, L, L], before the padding mask.
    at::Tensor positionBias(int layer, std::int64_t tokens) const;

private:
    struct Block;
    Umt5Config m_config;
    at::Tensor m_embedding; ///< [vocabulary, M]
    std::vector<std::unique_ptr<Block>> m_blocks;
    at::Tensor m_finalNorm;
};

} // namespace canopy::accel
