#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>
#include <vector>

#include "accel/nn/linear.h"
#include "core/formats/qa_model.h"

namespace canopy::accel {

class WeightReader;

/// What some token selections read beside the features. Undefined where it was not asked for.
struct SiglipExtras {
    at::Tensor attention; ///< float32 [T, P]: attention each patch receives in the last block, mean over
                          ///< heads and queries; sums to 1 over a frame
    at::Tensor keys;      ///< float32 [T, P, headDim]: keys of the last block, mean over heads
};

/// SigLIP vision tower: patch embedding, learned positions, pre-norm blocks with tanh-GELU; the last block's
/// output, before any post-layernorm. token-forest.md 1.4. T frames, P = (image / patch)^2 patches, W width.
/// Owns weights only. Home thread: the inference thread.
class SiglipTower {
public:
    SiglipTower(const SiglipConfig& config, WeightReader& weights);
    ~SiglipTower();

    struct Call {
        bool wantsAttention = false;
        bool wantsKeys = false;
        std::stop_token stop;
        /// Sees "embeddings", "layer<i>.self_attn" and "layer<i>".
        std::function<void(std::string_view, const at::Tensor&)> tap;
    };
    struct Output {
        at::Tensor hidden; ///< [T, P, W]
        SiglipExtras extras;
    };
    /// pixels [T, 3, image, image], normalised, in the weights' dtype. Border pixels that fill no patch are
    /// not read. Cancel between blocks.
    Output operator()(const at::Tensor& pixels, const Call& call) const;

    const SiglipConfig& config() const { return m_config; }

private:
    struct Block;
    SiglipConfig m_config;
    Linear m_patch;         ///< the convolution as a product: [W, 3 * patch * patch]
    at::Tensor m_positions; ///< [P, W]
    std::vector<std::unique_ptr<Block>> m_blocks;
};

} // namespace canopy::accel
