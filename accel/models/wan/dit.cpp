#include "accel/models/wan/dit.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sin.h>

#include <cmath>
#include <string>

#include "accel/models/wan/dit_block.h"
#include "accel/ops/modulate.h"
#include "accel/runtime/cancelled.h"
#include "accel/weights/weight_reader.h"

namespace canopy::accel {

at::Tensor timeSinusoid(const at::Tensor& timesteps, int dim) {
    const int half = dim / 2;
    const auto options = at::TensorOptions(at::kDouble).device(timesteps.device());
    const auto frequency = at::exp(at::arange(half, options) * (-std::log(10000.0) / half));
    const auto angle = at::outer(timesteps.to(at::kDouble), frequency);
    return at::cat({at::cos(angle), at::sin(angle)}, -1).to(at::kFloat);
}

WanDit::WanDit(const DitConfig& config, WeightReader& weights)
    : m_config(config) {
    const std::int64_t width = config.width();
    const std::int64_t patchSize = std::int64_t{config.patch[0]} * config.patch[1] * config.patch[2];
    m_patch.weight = weights
                         .take("patch_embedding.weight",
                               {width, config.inChannels, config.patch[0], config.patch[1], config.patch[2]})
                         .view({width, config.inChannels * patchSize});
    m_patch.bias = weights.take("patch_embedding.bias", {width});
    m_text1 = Linear(weights, "condition_embedder.text_embedder.linear_1", config.textDim, width);
    m_text2 = Linear(weights, "condition_embedder.text_embedder.linear_2", width, width);
    // Time runs in float32 whatever the weights' type: a step's modulation scales every token.
    const auto floatLinear = [&](const std::string& name, std::int64_t in, std::int64_t out) {
        Linear linear;
        linear.weight = weights.takeFloat(name + ".weight", {out, in});
        linear.bias = weights.takeFloat(name + ".bias", {out});
        return linear;
    };
    m_time1 = floatLinear("condition_embedder.time_embedder.linear_1", config.freqDim, width);
    m_time2 = floatLinear("condition_embedder.time_embedder.linear_2", width, width);
    m_timeProjection = floatLinear("condition_embedder.time_proj", width, 6 * width);
    if (config.fpsEmbedding) {
        m_fpsEmbedding = weights.takeFloat("fps_embedding.weight", {2, width});
        m_fps1 = floatLinear("fps_projection.net.0.proj", width, width);
        m_fps2 = floatLinear("fps_projection.net.2", width, 6 * width);
    }
    for (int i = 0; i < config.layers; ++i)
        m_blocks.push_back(std::make_unique<Block>(config, weights, i));
    m_headModulation = weights.takeFloat("scale_shift_table", {1, 2, width}).squeeze(0);
    m_head = Linear(weights, "proj_out", width, patchSize * config.outChannels);
}

WanDit::~WanDit() = default;

TokenGrid WanDit::grid(const at::Tensor& latents, int firstFrame) const {
    TokenGrid grid;
    grid.frames = static_cast<int>(latents.size(1)) / m_config.patch[0];
    grid.rows = static_cast<int>(latents.size(2)) / m_config.patch[1];
    grid.columns = static_cast<int>(latents.size(3)) / m_config.patch[2];
    grid.firstFrame = firstFrame;
    return grid;
}

at::Tensor WanDit::embedText(const at::Tensor& promptEmbeds) const {
    return m_text2(m_text1(promptEmbeds.to(dtype()), ops::Activation::GeluTanh));
}

at::Tensor WanDit::timeEmbedding(const at::Tensor& timesteps) const {
    return m_time2(at::silu(m_time1(timeSinusoid(timesteps, m_config.freqDim)))); // [n, C]
}

at::Tensor WanDit::modulationOf(const at::Tensor& time, int fpsIndex) const {
    auto modulation = m_timeProjection(at::silu(time)).view({-1, 6, m_config.width()}); // [n, 6, C]
    if (m_fpsEmbedding.defined()) {
        const auto fps = m_fps2(at::silu(m_fps1(m_fpsEmbedding[fpsIndex])));
        modulation = modulation + fps.view({1, 6, m_config.width()});
    }
    return modulation;
}

at::Tensor WanDit::timeModulation(const at::Tensor& timesteps, int fpsIndex) const {
    return modulationOf(timeEmbedding(timesteps), fpsIndex);
}

at::Tensor WanDit::embedPatches(const at::Tensor& latents) const {
    const auto size = grid(latents);
    const auto& p = m_config.patch;
    // [C, F, pt, H, ph, W, pw] -> [F, H, W, C, pt, ph, pw]: the weight's own order of a patch.
    return m_patch(latents.to(dtype())
                       .view({m_config.inChannels, size.frames, p[0], size.rows, p[1], size.columns, p[2]})
                       .permute({1, 3, 5, 0, 2, 4, 6})
                       .reshape({size.tokens(), m_patch.weight.size(1)}));
}

WanDit::State WanDit::embed(const at::Tensor& latents, const at::Tensor& timesteps, const at::Tensor& text,
                            int fpsIndex, const ForwardContext& context) const {
    State state;
    state.hidden = embedPatches(latents);                  // [L, C]
    state.time = timeEmbedding(timesteps);                 // [F or 1, C]
    state.modulation = modulationOf(state.time, fpsIndex); // [F or 1, 6, C]
    state.text = text;
    state.rope = makeRopeTable(context.grid, m_config.headDim, latents.device());
    if (context.boundary)
        context.boundary->passed(-1, context.branch, state.hidden);
    return state;
}

void WanDit::layers(int first, int last, State& state, const ForwardContext& context) const {
    for (int i = first; i < last; ++i) {
        throwIfStopped(context.stop);
        m_blocks[static_cast<std::size_t>(i)]->forward(i, state, context);
        if (context.boundary)
            context.boundary->passed(i, context.branch, state.hidden);
        if (context.blockDone)
            context.blockDone(i);
    }
}

at::Tensor WanDit::head(const State& state, const ForwardContext& context) const {
    const auto& grid = context.grid;
    const auto& p = m_config.patch;
    const auto rows = m_headModulation + state.time.unsqueeze(1); // [F or 1, 2, C]
    const auto normed =
        ops::layerNormModulate(state.hidden, rows.select(1, 1), rows.select(1, 0), m_config.eps);
    return m_head(normed) // [L, pt * ph * pw * C_out]
        .view({grid.frames, grid.rows, grid.columns, p[0], p[1], p[2], m_config.outChannels})
        .permute({6, 0, 3, 1, 4, 2, 5})
        .reshape({m_config.outChannels, grid.frames * p[0], grid.rows * p[1], grid.columns * p[2]})
        .to(at::kFloat);
}

at::Tensor WanDit::velocity(const at::Tensor& latents, const at::Tensor& timesteps, const at::Tensor& text,
                            int fpsIndex, const ForwardContext& context) const {
    auto state = embed(latents, timesteps, text, fpsIndex, context);
    layers(0, m_config.layers, state, context);
    return head(state, context);
}

} // namespace canopy::accel
