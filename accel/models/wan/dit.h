#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "accel/nn/forward_context.h"
#include "accel/nn/linear.h"
#include "accel/nn/rope.h"
#include "core/formats/model_config.h"

namespace canopy::accel {

class WeightReader;

/// Wan 2.1 text-to-video and SkyReels-V2 diffusion-forcing transformer: one set of blocks; SkyReels adds a
/// timestep per latent frame, the fps embedding and block-causal attention. L = video tokens, C = width, Lt =
/// text tokens, F = latent frames, D = head dim. Public key layouts: flow-cache.md 6.3. Owns weights only;
/// everything of a job lives in its ForwardContext and State. Home thread: the inference thread.
class WanDit {
public:
    WanDit(const DitConfig& config, WeightReader& weights);
    ~WanDit();

    /// What layers read beside the hidden states, from embed().
    struct State {
        at::Tensor hidden;     ///< [L, C] in the weights' dtype
        at::Tensor time;       ///< [F or 1, C] float32: time embedding, for the head
        at::Tensor modulation; ///< [F or 1, 6, C] float32: shift, scale, gate of attention, then of the FFN
        at::Tensor text;       ///< [Lt, C]
        RopeTable rope;
    };

    /// Text embeddings [Lt, text dim] (rows after the true length are zero and attended to) to [Lt, C].
    /// The same for every step: computed once per prompt.
    at::Tensor embedText(const at::Tensor& promptEmbeds) const;

    /// What the network is told of time: [n, 6, C] float32, for timesteps float32 [n] in 0..1000.
    at::Tensor timeModulation(const at::Tensor& timesteps, int fpsIndex) const;
    /// Latents [C_in, F, h, w] as tokens: [L, C] in the weights' dtype.
    at::Tensor embedPatches(const at::Tensor& latents) const;

    /// latents [C_in, F, h, w]; timesteps float32 [1] or [F] in 0..1000; fpsIndex 0 for 16 fps, 1 otherwise
    /// (read only by models with an fps embedding); text from embedText().
    State embed(const at::Tensor& latents, const at::Tensor& timesteps, const at::Tensor& text, int fpsIndex,
                const ForwardContext& context) const;
    /// Blocks first .. last - 1; state.hidden is replaced. Checks the stop token before each block.
    void layers(int first, int last, State& state, const ForwardContext& context) const;
    /// Velocity [C_out, F, h, w] in float32.
    at::Tensor head(const State& state, const ForwardContext& context) const;

    /// embed, all layers, head.
    at::Tensor velocity(const at::Tensor& latents, const at::Tensor& timesteps, const at::Tensor& text,
                        int fpsIndex, const ForwardContext& context) const;

    /// Token grid of latents [C, F, h, w].
    TokenGrid grid(const at::Tensor& latents, int firstFrame = 0) const;
    const DitConfig& config() const { return m_config; }
    at::ScalarType dtype() const { return m_patch.weight.scalar_type(); }
    at::Device device() const { return m_patch.weight.device(); }

private:
    struct Block;

    at::Tensor timeEmbedding(const at::Tensor& timesteps) const;
    at::Tensor modulationOf(const at::Tensor& time, int fpsIndex) const;

    DitConfig m_config;
    Linear m_patch; ///< the patch convolution as a product over flattened patches
    Linear m_text1, m_text2, m_time1, m_time2, m_timeProjection;
    at::Tensor m_fpsEmbedding; ///< [2, C] or undefined
    Linear m_fps1, m_fps2;
    std::vector<std::unique_ptr<Block>> m_blocks;
    at::Tensor m_headModulation; ///< [2, C] float32: shift, scale
    Linear m_head;
};

/// cos, then sin of t * 10000^(-i / (dim / 2)): [n, dim] float32, computed in float64.
at::Tensor timeSinusoid(const at::Tensor& timesteps, int dim);

} // namespace canopy::accel
