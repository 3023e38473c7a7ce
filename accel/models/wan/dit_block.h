#pragma once

#include "accel/models/wan/dit.h"

namespace canopy::accel {

/// One transformer block: modulated self-attention with RoPE, cross-attention to the text, modulated FFN.
/// Names of members follow the diffusers layout (attn1, attn2, ffn).
struct WanDit::Block {
    Block(const DitConfig& config, WeightReader& weights, int index);

    /// Replaces state.hidden.
    void forward(int layer, State& state, const ForwardContext& context) const;

    at::Tensor selfAttention(int layer, const at::Tensor& x, const RopeTable& rope,
                             const ForwardContext& context) const;
    at::Tensor crossAttention(const at::Tensor& x, const at::Tensor& text) const;

    int heads;
    int headDim;
    double eps;
    at::Tensor modulation; ///< [6, C] float32
    Linear qkv;            ///< fused attn1.to_q, to_k, to_v
    at::Tensor normQ, normK;
    Linear out;
    at::Tensor crossNormWeight, crossNormBias; ///< norm2; undefined without cross_attn_norm
    Linear crossQ, crossKv;
    at::Tensor crossNormQ, crossNormK;
    Linear crossOut;
    Linear ffnIn, ffnOut;
};

} // namespace canopy::accel
