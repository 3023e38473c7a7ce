#include "accel/models/siglip/siglip_tower.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <string>

#include "accel/ops/attention.h"
#include "accel/ops/modulate.h"
#include "accel/runtime/cancelled.h"
#include "accel/weights/weight_reader.h"

namespace canopy::accel {

namespace {

const std::string kRoot = "vision_tower.vision_model.";

struct Norm {
    at::Tensor weight, bias; ///< [W] float32

    Norm(WeightReader& weights, const std::string& name, std::int64_t width)
        : weight(weights.takeFloat(name + ".weight", {width}))
        , bias(weights.takeFloat(name + ".bias", {width})) {}
    at::Tensor operator()(const at::Tensor& x, double eps) const {
        return ops::layerNormAffine(x, weight, bias, eps);
    }
};

/// Attention that each patch of each frame receives, mean over heads and queries. q, k [T, P, H, D]; a single
/// head's P x P exists at a time.
at::Tensor attentionReceived(const at::Tensor& q, const at::Tensor& k, const std::stop_token& stop) {
    const std::int64_t frames = q.size(0);
    const std::int64_t heads = q.size(2);
    const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(3)));
    auto received = at::zeros({frames, q.size(1)}, q.options().dtype(at::kFloat));
    for (std::int64_t t = 0; t < frames; ++t) {
        throwIfStopped(stop);
        for (std::int64_t h = 0; h < heads; ++h) {
            const auto query = q[t].select(1, h).to(at::kFloat) * scale; // [P, D]
            const auto key = k[t].select(1, h).to(at::kFloat);
            received[t] += at::mean(at::softmax(at::matmul(query, key.t()), -1), {0}); // [P]
        }
    }
    return received / static_cast<double>(heads);
}

} // namespace

struct SiglipTower::Block {
    Block(const SiglipConfig& config, WeightReader& weights, const std::string& base)
        : norm1(weights, base + "layer_norm1", config.width)
        , norm2(weights, base + "layer_norm2", config.width) {
        const auto linear = [&](const char* name, std::int64_t from, std::int64_t to) {
            return Linear(weights, base + name, from, to);
        };
        qkv = fuse(linear("self_attn.q_proj", config.width, config.width),
                   linear("self_attn.k_proj", config.width, config.width),
                   linear("self_attn.v_proj", config.width, config.width));
        out = linear("self_attn.out_proj", config.width, config.width);
        up = linear("mlp.fc1", config.width, config.mlpDim);
        down = linear("mlp.fc2", config.mlpDim, config.width);
    }

    Norm norm1, norm2;
    Linear qkv, out, up, down;
};

SiglipTower::SiglipTower(const SiglipConfig& config, WeightReader& weights)
    : m_config(config) {
    const std::int64_t width = config.width;
    const std::int64_t side = config.patch;
    const std::int64_t patches = std::int64_t{config.gridSide()} * config.gridSide();
    m_patch.weight = weights.take(kRoot + "embeddings.patch_embedding.weight", {width, 3, side, side})
                         .reshape({width, 3 * side * side});
    m_patch.bias = weights.take(kRoot + "embeddings.patch_embedding.bias", {width});
    m_positions = weights.take(kRoot + "embeddings.position_embedding.weight", {patches, width});
    const std::string layers = kRoot + "encoder.layers.";
    for (int i = 0; i < config.layers; ++i)
        m_blocks.push_back(std::make_unique<Block>(config, weights, layers + std::to_string(i) + "."));
    // LLaVA reads the state before the released tower's last block; its files still hold that block.
    for (int i = config.layers; weights.has(layers + std::to_string(i) + ".layer_norm1.weight"); ++i)
        weights.ignoreUnder(layers + std::to_string(i) + ".");
}

SiglipTower::~SiglipTower() = default;

SiglipTower::Output SiglipTower::operator()(const at::Tensor& pixels, const Call& call) const {
    const std::int64_t frames = pixels.size(0);
    const std::int64_t grid = m_config.gridSide();
    const std::int64_t side = m_config.patch;
    const std::int64_t tokens = grid * grid;
    const std::int64_t width = m_config.width;
    const std::int64_t headDim = width / m_config.heads;
    TORCH_CHECK(pixels.dim() == 4 && pixels.size(1) == 3 && pixels.size(2) == m_config.imageSize &&
                    pixels.size(3) == m_config.imageSize,
                "the vision tower got pixels ", pixels.sizes(), "; expected [T, 3, ", m_config.imageSize,
                ", ", m_config.imageSize, "]");
    const auto tap = [&call](const std::string& name, const at::Tensor& x) {
        if (call.tap)
            call.tap(name, x);
    };

    const auto patches = pixels.narrow(2, 0, grid * side)
                             .narrow(3, 0, grid * side)
                             .reshape({frames, 3, grid, side, grid, side})
                             .permute({0, 2, 4, 1, 3, 5}) // [T, row, column, 3, y, x]
                             .reshape({frames * tokens, 3 * side * side});
    // Residual stream of all frames, [T * P, W].
    auto x = (m_patch(patches).view({frames, tokens, width}) + m_positions).view({frames * tokens, width});
    tap("embeddings", x.view({frames, tokens, width}));

    Output output;
    for (std::size_t i = 0; i < m_blocks.size(); ++i) {
        throwIfStopped(call.stop);
        const auto& block = *m_blocks[i];
        const std::string name = "layer" + std::to_string(i);
        const auto qkv =
            block.qkv(block.norm1(x, m_config.eps)).view({frames, tokens, 3, m_config.heads, headDim});
        const auto q = qkv.select(2, 0); // [T, P, H, D]
        const auto k = qkv.select(2, 1);
        const auto mixed = block.out(ops::attention(q, k, qkv.select(2, 2)).view({frames * tokens, width}));
        tap(name + ".self_attn", mixed.view({frames, tokens, width}));
        x = x + mixed;
        if (i + 1 == m_blocks.size()) {
            if (call.wantsAttention)
                output.extras.attention = attentionReceived(q, k, call.stop);
            if (call.wantsKeys)
                output.extras.keys = at::mean(k.to(at::kFloat), {2});
        }
        x = x + block.down(block.up(block.norm2(x, m_config.eps), ops::Activation::GeluTanh));
        tap(name, x.view({frames, tokens, width}));
    }
    output.hidden = x.view({frames, tokens, width});
    return output;
}

} // namespace canopy::accel
