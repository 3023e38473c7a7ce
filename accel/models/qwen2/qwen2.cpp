#include "accel/models/qwen2/qwen2.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "accel/ops/attention.h"
#include "accel/ops/norm_rope.h"
#include "accel/runtime/cancelled.h"
#include "accel/weights/weight_reader.h"

namespace canopy::accel {

namespace {

const std::string kRoot = "language_model.model.";
constexpr std::int64_t kMlpTokens = 1024; ///< that pass the feed-forward together on the CPU

/// x / rms(x) * gain. x [n, C].
at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps) {
    const auto whole = x.unsqueeze(0).unsqueeze(2); // [1, n, 1, C]
    return ops::fullWidthRmsNorm(whole, gain, eps).view(x.sizes());
}

/// Attention of one query token over a layer's cache. q [H, D]; result [1, H * D]. On the CPU small products:
/// the block kernel would pack the whole cache for a single row.
at::Tensor attendFromLast(const at::Tensor& q, const KvCache::Layer& layer) {
    if (!q.device().is_cpu()) {
        return ops::attention(q.unsqueeze(0).unsqueeze(0), layer.seenKeys().transpose(0, 1).unsqueeze(0),
                              layer.seenValues().transpose(0, 1).unsqueeze(0))
            .flatten(2)
            .squeeze(0);
    }
    const std::int64_t kvHeads = layer.keys.size(0);
    const std::int64_t shared = q.size(0) / kvHeads;
    const std::int64_t padded = layer.paddedLength();
    const auto grouped = (q * (1.0 / std::sqrt(static_cast<double>(q.size(1))))).view({kvHeads, shared, -1});
    std::vector<at::Tensor> heads;
    for (std::int64_t h = 0; h < kvHeads; ++h) {
        auto scores = at::mm(grouped[h], layer.keys[h].narrow(0, 0, padded).t()).to(at::kFloat);
        scores.narrow(1, layer.length, padded - layer.length).fill_(-std::numeric_limits<float>::infinity());
        heads.push_back(at::mm(at::softmax(scores, -1).to(q.scalar_type()),
                               layer.values[h].narrow(0, 0, padded))); // [shared, D]
    }
    return (kvHeads == 1 ? heads.front() : at::cat(heads)).view({1, -1});
}

/// Softmax over all keys of the last token's scores, mean over heads: float32 [n]. q [H, D], keys [kvHeads,
/// n, D], both after the rotary embedding.
at::Tensor attentionOfLast(const at::Tensor& q, const at::Tensor& keys) {
    const std::int64_t shared = q.size(0) / keys.size(0);
    const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(1)));
    const auto grouped = q.to(at::kFloat).view({keys.size(0), shared, q.size(1)}) * scale;
    const auto scores = at::bmm(grouped, keys.to(at::kFloat).transpose(1, 2)); // [kvHeads, shared, n]
    return at::softmax(scores, -1).flatten(0, 1).mean(0);
}

} // namespace

/// What the attention that ran last leaves for PrefillPoint::lastRowAttention.
struct Qwen2::LastRow {
    at::Tensor q;    ///< [H, D]
    at::Tensor keys; ///< [kvHeads, n, D]

    std::function<at::Tensor()> attention() const {
        if (!q.defined())
            return {};
        return [q = q, keys = keys] { return attentionOfLast(q, keys); };
    }
};

struct Qwen2::Layer {
    Layer(const Qwen2Config& c, WeightReader& weights, int layerIndex)
        : config(c)
        , index(layerIndex)
        , name("layer" + std::to_string(layerIndex)) {
        const std::string base = kRoot + "layers." + std::to_string(index) + ".";
        const std::int64_t width = config.width;
        const auto linear = [&](const char* part, std::int64_t from, std::int64_t to, bool bias) {
            return Linear(weights, base + part, from, to, bias);
        };
        qkv = fuse(linear("self_attn.q_proj", width, queryWidth(), true),
                   linear("self_attn.k_proj", width, keyWidth(), true),
                   linear("self_attn.v_proj", width, keyWidth(), true));
        out = linear("self_attn.o_proj", queryWidth(), width, false);
        gateUp = fuse(linear("mlp.gate_proj", width, config.mlpDim, false),
                      linear("mlp.up_proj", width, config.mlpDim, false));
        down = linear("mlp.down_proj", config.mlpDim, width, false);
        attentionNorm = weights.takeFloat(base + "input_layernorm.weight", {width});
        mlpNorm = weights.takeFloat(base + "post_attention_layernorm.weight", {width});
    }

    std::int64_t queryWidth() const { return std::int64_t{config.heads} * config.headDim; }
    std::int64_t keyWidth() const { return std::int64_t{config.kvHeads} * config.headDim; }

    /// Rows [first, first + rows) of the fused q, k, v projection.
    Linear part(std::int64_t first, std::int64_t rows) const {
        Linear linear;
        linear.weight = qkv.weight.narrow(0, first, rows);
        linear.bias = qkv.bias.narrow(0, first, rows);
        return linear;
    }

    /// Causal attention of all tokens, x [n, C]; fills the layer's cache. Result [n, C].
    at::Tensor attend(const at::Tensor& x, const RotaryTable& angles, KvCache& cache, LastRow* last,
                      const Tap& tap) const {
        const std::int64_t n = x.size(0);
        const auto projected = qkv(rmsNorm(x, attentionNorm, config.eps)); // [n, (H + 2 kvHeads) D]
        if (tap) {
            tap(name + ".q", projected.narrow(1, 0, queryWidth()));
            tap(name + ".k", projected.narrow(1, queryWidth(), keyWidth()));
        }
        const auto heads = projected.view({n, config.heads + 2 * config.kvHeads, config.headDim});
        rotateHalfInPlace(heads.narrow(1, 0, config.heads + config.kvHeads), angles);
        const auto q = heads.narrow(1, 0, config.heads);
        const auto k = heads.narrow(1, config.heads, config.kvHeads);
        const auto v = heads.narrow(1, config.heads + config.kvHeads, config.kvHeads);
        cache.fill(index, k, v);
        if (last)
            *last = {q[n - 1].clone(), cache.layer(index).seenKeys()};
        ops::AttentionOptions options;
        options.causal = true;
        return out(
            ops::attention(q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), options).view({n, queryWidth()}));
    }

    /// The same where only the last token's result is wanted: [1, C].
    at::Tensor attendLast(const at::Tensor& x, const RotaryTable& angles, KvCache& cache) const {
        const std::int64_t n = x.size(0);
        const auto normed = rmsNorm(x, attentionNorm, config.eps);
        const auto kv =
            part(queryWidth(), 2 * keyWidth())(normed).view({n, 2 * config.kvHeads, config.headDim});
        const auto q =
            part(0, queryWidth())(normed.narrow(0, n - 1, 1)).view({1, config.heads, config.headDim});
        rotateHalfInPlace(kv.narrow(1, 0, config.kvHeads), angles);
        rotateHalfInPlace(q, angles.rows(n - 1, 1));
        cache.fill(index, kv.narrow(1, 0, config.kvHeads), kv.narrow(1, config.kvHeads, config.kvHeads));
        return out(attendFromLast(q[0], cache.layer(index)));
    }

    /// One more token, x [1, C], behind those of the cache. Result [1, C].
    at::Tensor attendNext(const at::Tensor& x, const RotaryTable& angles, KvCache& cache) const {
        const auto heads = qkv(rmsNorm(x, attentionNorm, config.eps))
                               .view({1, config.heads + 2 * config.kvHeads, config.headDim});
        rotateHalfInPlace(heads.narrow(1, 0, config.heads + config.kvHeads), angles);
        cache.append(index, heads.narrow(1, config.heads, config.kvHeads),
                     heads.narrow(1, config.heads + config.kvHeads, config.kvHeads));
        return out(attendFromLast(heads[0].narrow(0, 0, config.heads), cache.layer(index)));
    }

    /// x += down(silu(gate) * up) of the normed x, [n, C].
    void addMlp(const at::Tensor& x, const Tap& tap) const {
        // On the CPU some tokens at a time: their wide rows stay in the cache, and small in memory.
        const std::int64_t n = x.size(0);
        const std::int64_t together = x.device().is_cpu() && !tap ? kMlpTokens : n;
        for (std::int64_t first = 0; first < n; first += together) {
            const auto rows = x.narrow(0, first, std::min(together, n - first));
            const auto both = gateUp(rmsNorm(rows, mlpNorm, config.eps)); // [rows, 2 I]
            const std::int64_t half = both.size(1) / 2;
            const auto result = down(at::silu(both.narrow(1, 0, half)).mul_(both.narrow(1, half, half)));
            if (tap)
                tap(name + ".mlp", result);
            rows.add_(result);
        }
    }

    Qwen2Config config;
    int index;
    std::string name;
    Linear qkv, out, gateUp, down;
    at::Tensor attentionNorm, mlpNorm; ///< [C] float32
};

Qwen2::Qwen2(const Qwen2Config& config, WeightReader& weights)
    : m_config(config) {
    m_embedding = weights.take(kRoot + "embed_tokens.weight", {config.vocabulary, config.width});
    for (int i = 0; i < config.layers; ++i)
        m_layers.push_back(std::make_unique<Layer>(config, weights, i));
    m_norm = weights.takeFloat(kRoot + "norm.weight", {config.width});
    if (config.tiedEmbeddings) {
        m_head.weight = m_embedding;
        weights.ignoreUnder("language_model.lm_head."); // the same once more
    } else {
        m_head = Linear(weights, "language_model.lm_head", config.width, config.vocabulary, false);
    }
}

Qwen2::~Qwen2() = default;

at::Tensor Qwen2::embed(const at::Tensor& ids) const {
    return at::embedding(m_embedding, ids.to(m_embedding.device()));
}

at::Tensor Qwen2::logits(const at::Tensor& hidden) const {
    return m_head(hidden).to(at::kFloat);
}

at::Tensor Qwen2::prefill(const Prefill& call, KvCache& cache) const {
    // Of the last layer nothing but the last token's output is read, unless someone looks.
    const bool onlyLastMatters = !call.wantsAllLogits && !call.tap && !call.reducer;

    at::Tensor x = call.embeddings; // [n, C]
    at::Tensor positions = call.positions;
    at::Tensor videoIndex = call.videoIndex;
    auto angles = makeRotaryTable(positions, m_config.headDim, m_config.ropeTheta);
    LastRow last;
    const auto reduce = [&](int layer, PrefillPoint::Where where) {
        if (!call.reducer)
            return;
        const auto reduction =
            call.reducer->reduce({layer, where, x, positions, videoIndex, call.frames, call.patchesPerFrame,
                                  m_config.layers, last.attention()});
        if (!reduction)
            return;
        x = reduction->hidden;
        positions = positions.index_select(0, reduction->keep);
        videoIndex = videoIndex.index_select(0, reduction->keep);
        angles = angles.at(reduction->keep);
    };

    for (const auto& layer : m_layers) {
        throwIfStopped(call.stop);
        reduce(layer->index, PrefillPoint::Where::BeforeAttention);
        if (onlyLastMatters && layer->index + 1 == m_config.layers) {
            x = x.narrow(0, x.size(0) - 1, 1) + layer->attendLast(x, angles, cache);
        } else {
            const auto mixed = layer->attend(x, angles, cache, call.reducer ? &last : nullptr, call.tap);
            if (call.tap)
                call.tap(layer->name + ".self_attn", mixed);
            x = x + mixed;
        }
        reduce(layer->index, PrefillPoint::Where::AfterAttention);
        layer->addMlp(x, call.tap);
        if (call.tap)
            call.tap(layer->name, x);
        if (call.layerDone)
            call.layerDone(layer->index + 1);
    }
    const auto answerPositions =
        at::arange(call.answerPosition, call.answerPosition + cache.answerTokens(), positions.options());
    cache.answerAngles = makeRotaryTable(answerPositions, m_config.headDim, m_config.ropeTheta);
    cache.answered = 0;

    if (!call.wantsAllLogits && !call.tap)
        x = x.narrow(0, x.size(0) - 1, 1);
    x = rmsNorm(x, m_norm, m_config.eps);
    if (call.tap)
        call.tap("final_norm", x);
    return call.wantsAllLogits ? logits(x) : logits(x.narrow(0, x.size(0) - 1, 1))[0];
}

at::Tensor Qwen2::step(std::int32_t id, KvCache& cache, const std::stop_token& stop) const {
    auto x = m_embedding.narrow(0, id, 1); // [1, C]
    const auto angles = cache.answerAngles.rows(cache.answered, 1);
    for (const auto& layer : m_layers) {
        throwIfStopped(stop);
        x = x + layer->attendNext(x, angles, cache);
        layer->addMlp(x, {});
    }
    ++cache.answered;
    return logits(rmsNorm(x, m_norm, m_config.eps))[0];
}

std::uint64_t Qwen2::bytesPerStep() const {
    std::uint64_t bytes = m_head.weight.nbytes();
    for (const auto& layer : m_layers)
        bytes += layer->qkv.weight.nbytes() + layer->out.weight.nbytes() + layer->gateUp.weight.nbytes() +
                 layer->down.weight.nbytes();
    return bytes;
}

} // namespace canopy::accel
