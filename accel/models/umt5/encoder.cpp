#include "accel/models/umt5/encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>
#include <string>

#include "accel/runtime/cancelled.h"
#include "accel/weights/weight_reader.h"

namespace canopy::accel {

namespace {

/// x / rms(x) * gain, without a mean; in float32.
at::Tensor t5Norm(const at::Tensor& x, const at::Tensor& gain, double eps) {
    const auto wide = x.to(at::kFloat);
    const auto scale = at::rsqrt(at::mean(wide * wide, {-1}, true) + eps);
    return (wide * scale * gain).to(x.scalar_type());
}

/// Bucket of a relative position (key - query): half the buckets for each sign, exact up to a quarter of
/// them, logarithmic up to maxDistance.
std::int64_t relativeBucket(std::int64_t relative, int buckets, int maxDistance) {
    const std::int64_t half = buckets / 2;
    const std::int64_t sign = relative > 0 ? half : 0;
    const std::int64_t distance = relative < 0 ? -relative : relative;
    const std::int64_t exact = half / 2;
    if (distance < exact)
        return sign + distance;
    const float scaled =
        std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
        static_cast<float>(std::log(static_cast<double>(maxDistance) / static_cast<double>(exact))) *
        static_cast<float>(half - exact);
    return sign + std::min<std::int64_t>(exact + static_cast<std::int64_t>(scaled), half - 1);
}

} // namespace

struct Umt5Encoder::Block {
    Block(const Umt5Config& config, WeightReader& weights, int index) {
        const std::string base = "encoder.block." + std::to_string(index) + ".layer.";
        const std::int64_t inner = std::int64_t{config.heads} * config.headDim;
        const auto linear = [&](const char* name, std::int64_t from, std::int64_t to) {
            return Linear(weights, base + name, from, to, false);
        };
        qkv = fuse(linear("0.SelfAttention.q", config.modelDim, inner),
                   linear("0.SelfAttention.k", config.modelDim, inner),
                   linear("0.SelfAttention.v", config.modelDim, inner));
        out = linear("0.SelfAttention.o", inner, config.modelDim);
        relative = weights.takeFloat(base + "0.SelfAttention.relative_attention_bias.weight",
                                     {config.relativeBuckets, config.heads});
        attentionNorm = weights.takeFloat(base + "0.layer_norm.weight", {config.modelDim});
        gate = linear("1.DenseReluDense.wi_0", config.modelDim, config.ffnDim);
        up = linear("1.DenseReluDense.wi_1", config.modelDim, config.ffnDim);
        down = linear("1.DenseReluDense.wo", config.ffnDim, config.modelDim);
        ffnNorm = weights.takeFloat(base + "1.layer_norm.weight", {config.modelDim});
    }

    Linear qkv, out, gate, up, down;
    at::Tensor relative; ///< [buckets, H]
    at::Tensor attentionNorm, ffnNorm;
};

Umt5Encoder::Umt5Encoder(const Umt5Config& config, WeightReader& weights)
    : m_config(config) {
    m_embedding = weights.take("shared.weight", {config.vocabulary, config.modelDim});
    for (int i = 0; i < config.layers; ++i)
        m_blocks.push_back(std::make_unique<Block>(config, weights, i));
    m_finalNorm = weights.takeFloat("encoder.final_layer_norm.weight", {config.modelDim});
}

Umt5Encoder::~Umt5Encoder() = default;

at::Tensor Umt5Encoder::positionBias(int layer, std::int64_t tokens) const {
    const auto& table = m_blocks[static_cast<std::size_t>(layer)]->relative;
    auto buckets = at::empty({tokens, tokens}, at::TensorOptions(at::kLong));
    auto* out = buckets.mutable_data_ptr<std::int64_t>();
    for (std::int64_t query = 0; query < tokens; ++query) {
        for (std::int64_t key = 0; key < tokens; ++key)
            *out++ = relativeBucket(key - query, m_config.relativeBuckets, m_config.relativeMaxDistance);
    }
    return at::embedding(table, buckets.to(table.device())).permute({2, 0, 1}); // [H, L, L]
}

at::Tensor Umt5Encoder::encode(const at::Tensor& ids, const at::Tensor& mask, std::stop_token stop,
                               const std::function<void(std::string_view, const at::Tensor&)>& tap) const {
    const std::int64_t tokens = ids.size(0);
    const auto device = m_embedding.device();
    auto x = at::embedding(m_embedding, ids.to(device)); // [L, M]
    // A large negative number instead of infinity: a row without any key must not become NaN.
    const auto padding = (1.0 - mask.to(device, at::kFloat)) * std::numeric_limits<float>::lowest() / 2;
    for (std::size_t i = 0; i < m_blocks.size(); ++i) {
        throwIfStopped(stop);
        const auto& block = *m_blocks[i];
        const std::string name = "block" + std::to_string(i);
        const auto qkv = block.qkv(t5Norm(x, block.attentionNorm, m_config.eps))
                             .view({tokens, 3, m_config.heads, m_config.headDim})
                             .permute({1, 2, 0, 3}); // [3, H, L, D]
        auto logits = at::matmul(qkv[0], qkv[1].transpose(-1, -2)).to(at::kFloat);
        logits = logits + positionBias(static_cast<int>(i), tokens) + padding;
        const auto weights = at::softmax(logits, -1).to(x.scalar_type());
        x = x + block.out(at::matmul(weights, qkv[2]).permute({1, 0, 2}).reshape({tokens, -1}));
        if (tap)
            tap(name + ".after_attention", x);
        const auto normed = t5Norm(x, block.ffnNorm, m_config.eps);
        x = x + block.down(block.gate(normed, ops::Activation::GeluTanh) * block.up(normed));
        if (tap)
            tap(name, x);
    }
    return t5Norm(x, m_finalNorm, m_config.eps);
}

at::Tensor Umt5Encoder::promptEmbeds(const at::Tensor& ids, const at::Tensor& mask,
                                     std::stop_token stop) const {
    const auto hidden = encode(ids, mask, std::move(stop));
    return hidden * mask.to(hidden.device(), hidden.scalar_type()).unsqueeze(-1);
}

} // namespace canopy::accel
