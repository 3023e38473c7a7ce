#include "accel/models/wan/dit_block.h"

#include <ATen/TensorOperators.h>

#include <string>
#include <utility>

#include "accel/nn/attention.h"
#include "accel/nn/kv_pool.h"
#include "accel/ops/attention.h"
#include "accel/ops/modulate.h"
#include "accel/ops/norm_rope.h"
#include "accel/weights/weight_reader.h"

namespace canopy::accel {

WanDit::Block::Block(const DitConfig& config, WeightReader& weights, int index)
    : heads(config.heads)
    , headDim(config.headDim)
    , eps(config.eps) {
    const std::string base = "blocks." + std::to_string(index) + ".";
    const std::int64_t width = config.width();
    const auto linear = [&](const char* name, std::int64_t in, std::int64_t outWidth) {
        return Linear(weights, base + name, in, outWidth);
    };
    modulation = weights.takeFloat(base + "scale_shift_table", {1, 6, width}).squeeze(0);
    qkv = fuse(linear("attn1.to_q", width, width), linear("attn1.to_k", width, width),
               linear("attn1.to_v", width, width));
    normQ = weights.takeFloat(base + "attn1.norm_q.weight", {width});
    normK = weights.takeFloat(base + "attn1.norm_k.weight", {width});
    out = linear("attn1.to_out.0", width, width);
    if (config.crossAttentionNorm) {
        crossNormWeight = weights.takeFloat(base + "norm2.weight", {width});
        crossNormBias = weights.takeFloat(base + "norm2.bias", {width});
    }
    crossQ = linear("attn2.to_q", width, width);
    crossKv = fuse(linear("attn2.to_k", width, width), linear("attn2.to_v", width, width));
    crossNormQ = weights.takeFloat(base + "attn2.norm_q.weight", {width});
    crossNormK = weights.takeFloat(base + "attn2.norm_k.weight", {width});
    crossOut = linear("attn2.to_out.0", width, width);
    ffnIn = linear("ffn.net.0.proj", width, config.ffnDim);
    ffnOut = linear("ffn.net.2", config.ffnDim, width);
}

at::Tensor WanDit::Block::selfAttention(int layer, const at::Tensor& x, const RopeTable& rope,
                                        const ForwardContext& context) const {
    const std::int64_t tokens = x.size(0);
    const auto projected = qkv(x).view({1, tokens, 3, heads, headDim});
    AttentionCall call;
    call.step = context.step;
    call.layer = layer;
    call.branch = context.branch;
    call.grid = context.grid;
    call.causalBlockFrames = context.causalBlockFrames;
    if (context.attention && !context.kv && context.attention->readsMeans(context.step)) {
        auto q = ops::normRopeWithMean(projected.select(2, 0), normQ, rope.cos, rope.sin, eps);
        auto k = ops::normRopeWithMean(projected.select(2, 1), normK, rope.cos, rope.sin, eps);
        call.q = std::move(q.out); // [1, L, H, D]
        call.k = std::move(k.out);
        call.qMean = std::move(q.mean);
        call.kMean = std::move(k.mean);
    } else {
        call.q = ops::normRope(projected.select(2, 0), normQ, rope.cos, rope.sin, eps);
        call.k = ops::normRope(projected.select(2, 1), normK, rope.cos, rope.sin, eps);
    }
    call.v = projected.select(2, 2);
    if (context.kv) {
        // Chunks of this pass overwrite their rows; attention sees every row up to the last of them.
        std::int64_t first = 0;
        for (const auto& span : context.chunks) {
            const std::int64_t rows = span.frames * context.grid.tokensPerFrame();
            context.kv->write(context.branch, layer, span.chunk, call.k[0].narrow(0, first, rows),
                              call.v[0].narrow(0, first, rows));
            first += rows;
        }
        const auto [keys, values] = context.kv->upTo(context.branch, layer, context.chunks.back().chunk);
        call.k = keys.unsqueeze(0);
        call.v = values.unsqueeze(0);
    }
    const auto attended = context.attention ? context.attention->attend(call) : denseAttention(call);
    return out(attended.reshape({tokens, heads * std::int64_t{headDim}}));
}

at::Tensor WanDit::Block::crossAttention(const at::Tensor& x, const at::Tensor& text) const {
    const std::int64_t tokens = x.size(0);
    const auto kv = crossKv(text).view({1, text.size(0), 2, heads, headDim});
    const auto q = ops::fullWidthRmsNorm(crossQ(x).view({1, tokens, heads, headDim}), crossNormQ, eps);
    const auto k = ops::fullWidthRmsNorm(kv.select(2, 0), crossNormK, eps);
    const auto attended = ops::attention(q, k, kv.select(2, 1));
    return crossOut(attended.reshape({tokens, heads * std::int64_t{headDim}}));
}

void WanDit::Block::forward(int layer, State& state, const ForwardContext& context) const {
    auto& x = state.hidden;                          // [L, C]
    const auto rows = modulation + state.modulation; // [F or 1, 6, C]: shift, scale, gate; shift, scale, gate
    x = ops::gateAdd(x,
                     selfAttention(layer,
                                   ops::layerNormModulate(x, rows.select(1, 1), rows.select(1, 0), eps),
                                   state.rope, context),
                     rows.select(1, 2));
    const auto normed =
        crossNormWeight.defined() ? ops::layerNormAffine(x, crossNormWeight, crossNormBias, eps) : x;
    x = x + crossAttention(normed, state.text);
    const auto inner = ffnIn(ops::layerNormModulate(x, rows.select(1, 4), rows.select(1, 3), eps),
                             ops::Activation::GeluTanh);
    x = ops::gateAdd(x, ffnOut(inner), rows.select(1, 5));
}

} // namespace canopy::accel
