#include "accel/models/qwen2/qwen2.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <string>

#include "accel/ops/attention.h"
#include "accel/ops/norm_rope.h"
#include "accel/runtime/cancelled.h"
#include "accel/weights/weight_reader.h"

namespace canopy::accel {

namespace {

const std::string kRoot = "language_model.model.";

/// x / rms(x) * gain. x [n, C].
at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps) {
    const auto whole = x.unsqueeze(0).unsqueeze(2); // [1, n, 1, C]
    return ops::fullWidthRmsNorm(whole, gain, eps).view(x.sizes());
}

/// Attention of one query token over a layer's cache. q [H, D]; result [1, H * D]. On the CPU two small
/// products: the block kernel would pack the whole cache for a single row.
at::Tensor attendFromLast(const at::Tensor& q, const KvCache::Layer& layer) {
    const auto keys = layer.seenKeys(); // [kvHeads, n, D]
    const auto values = layer.seenValues();
    if (!q.device().is_cpu()) {
        return ops::attention(q.unsqueeze(0).unsqueeze(0), keys.transpose(0, 1).unsqueeze(0),
                              values.transpose(0, 1).unsqueeze(0))
            .flatten(2)
            .squeeze(0);
    }
    const std::int64_t shared = q.size(0) / keys.size(0);
    const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(1)));
    const auto grouped = (q * scale).view({keys.size(0), shared, q.size(1)});
    const auto weights = at::softmax(at::bmm(grouped, keys.transpose(1, 2)).to(at::kFloat), -1);
    return at::bmm(weights.to(values.scalar_type()), values).view({1, -1}); // [kvHeads, H / kvHeads, D]
}

/// Softmax over all keys of the last token's scores, mean over heads: float32 [n]. q [H, D], keys [n,
/// kvHeads, D], both after the rotary embedding.
at::Tensor attentionOfLast(const at::Tensor& q, const at::Tensor& keys) {
    const std::int64_t shared = q.size(0) / keys.size(1);
    const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(1)));
    const auto grouped = q.to(at::kFloat).view({keys.size(1), shared, q.size(1)}) * scale;
    const auto scores = at::bmm(grouped, keys.to(at::kFloat).permute({1, 2, 0})); // [kvHeads, shared, n]
    return at::softmax(scores, -1).flatten(0, 1).mean(0);
}

} // namespace

struct Qwen2::Layer {
    Layer(const Qwen2Config& config, WeightReader& weights, int index) {
        const std::string base = kRoot + "layers." + std::to_string(index) + ".";
        const std::int64_t width = config.width;
        const std::int64_t queries = std::int64_t{config.heads} * config.headDim;
        const std::int64_t keys = std::int64_t{config.kvHeads} * config.headDim;
        const auto linear = [&](const char* name, std::int64_t from, std::int64_t to, bool bias) {
            return Linear(weights, base + name, from, to, bias);
        };
        qkv = fuse(linear("self_attn.q_proj", width, queries, true),
                   linear("self_attn.k_proj", width, keys, true),
                   linear("self_attn.v_proj", width, keys, true));
        out = linear("self_attn.o_proj", queries, width, false);
        gateUp = fuse(linear("mlp.gate_proj", width, config.mlpDim, false),
                      linear("mlp.up_proj", width, config.mlpDim, false));
        down = linear("mlp.down_proj", config.mlpDim, width, false);
        attentionNorm = weights.takeFloat(base + "input_layernorm.weight", {width});
        mlpNorm = weights.takeFloat(base + "post_attention_layernorm.weight", {width});
    }

    at::Tensor mlp(const at::Tensor& x, double eps) const {
        const auto both = gateUp(rmsNorm(x, mlpNorm, eps)); // [n, 2 I]
        const std::int64_t half = both.size(1) / 2;
        return down(at::silu(both.narrow(1, 0, half)).mul_(both.narrow(1, half, half)));
    }

    Linear qkv, out, gateUp, down;
    at::Tensor attentionNorm, mlpNorm; ///< [C] float32
};

/// What the attention that ran last leaves for lastRowAttention.
struct Qwen2::LastRow {
    at::Tensor q;    ///< [H, D]
    at::Tensor keys; ///< [n, kvHeads, D]

    std::function<at::Tensor()> attention() const {
        if (!q.defined())
            return {};
        return [q = q, keys = keys] { return attentionOfLast(q, keys); };
    }
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
    const int layers = m_config.layers;
    const std::int64_t headDim = m_config.headDim;
    const std::int64_t queryWidth = m_config.heads * headDim;
    const std::int64_t keyWidth = m_config.kvHeads * headDim;
    const auto tap = [&call](const std::string& name, const at::Tensor& x) {
        if (call.tap)
            call.tap(name, x);
    };
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
        const auto reduction = call.reducer->reduce({layer, where, x, positions, videoIndex, call.frames,
                                                     call.patchesPerFrame, layers, last.attention()});
        if (!reduction)
            return;
        x = reduction->hidden;
        positions = positions.index_select(0, reduction->keep);
        videoIndex = videoIndex.index_select(0, reduction->keep);
        angles = angles.at(reduction->keep);
    };

    for (int i = 0; i < layers; ++i) {
        throwIfStopped(call.stop);
        const auto& layer = *m_layers[static_cast<std::size_t>(i)];
        const std::string name = "layer" + std::to_string(i);
        reduce(i, PrefillPoint::Where::BeforeAttention);
        const std::int64_t n = x.size(0);
        const bool lastOnly = onlyLastMatters && i + 1 == layers;
        const auto normed = rmsNorm(x, layer.attentionNorm, m_config.eps);

        at::Tensor mixed;
        if (lastOnly) {
            Linear keyValue;
            keyValue.weight = layer.qkv.weight.narrow(0, queryWidth, 2 * keyWidth);
            keyValue.bias = layer.qkv.bias.narrow(0, queryWidth, 2 * keyWidth);
            Linear query;
            query.weight = layer.qkv.weight.narrow(0, 0, queryWidth);
            query.bias = layer.qkv.bias.narrow(0, 0, queryWidth);
            const auto kv = keyValue(normed).view({n, 2 * m_config.kvHeads, headDim});
            const auto q = query(normed.narrow(0, n - 1, 1)).view({1, m_config.heads, headDim});
            rotateHalfInPlace(kv.narrow(1, 0, m_config.kvHeads), angles);
            rotateHalfInPlace(q, angles.rows(n - 1, 1));
            cache.fill(i, kv.narrow(1, 0, m_config.kvHeads),
                       kv.narrow(1, m_config.kvHeads, m_config.kvHeads));
            mixed = attendFromLast(q[0], cache.layer(i));
            x = x.narrow(0, n - 1, 1);
        } else {
            const auto qkv = layer.qkv(normed); // [n, (H + 2 kvHeads) D]
            tap(name + ".q", qkv.narrow(1, 0, queryWidth));
            tap(name + ".k", qkv.narrow(1, queryWidth, keyWidth));
            const auto heads = qkv.view({n, m_config.heads + 2 * m_config.kvHeads, headDim});
            rotateHalfInPlace(heads.narrow(1, 0, m_config.heads + m_config.kvHeads), angles);
            const auto q = heads.narrow(1, 0, m_config.heads);
            const auto k = heads.narrow(1, m_config.heads, m_config.kvHeads);
            const auto v = heads.narrow(1, m_config.heads + m_config.kvHeads, m_config.kvHeads);
            cache.fill(i, k, v);
            ops::AttentionOptions options;
            options.causal = true;
            mixed =
                ops::attention(q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), options).view({n, queryWidth});
            last = {q[n - 1], k};
        }
        mixed = layer.out(mixed);
        tap(name + ".self_attn", mixed);
        x = x + mixed;
        reduce(i, PrefillPoint::Where::AfterAttention);
        mixed = layer.mlp(x, m_config.eps);
        tap(name + ".mlp", mixed);
        x = x + mixed;
        tap(name, x);
        if (call.layerDone)
            call.layerDone(i + 1);
    }
    const auto answerPositions =
        at::arange(call.answerPosition, call.answerPosition + cache.answerTokens(), positions.options());
    cache.answerAngles = makeRotaryTable(answerPositions, m_config.headDim, m_config.ropeTheta);
    cache.answered = 0;

    if (!call.wantsAllLogits && !call.tap)
        x = x.narrow(0, x.size(0) - 1, 1);
    x = rmsNorm(x, m_norm, m_config.eps);
    tap("final_norm", x);
    return call.wantsAllLogits ? logits(x) : logits(x.narrow(0, x.size(0) - 1, 1))[0];
}

at::Tensor Qwen2::step(std::int32_t id, KvCache& cache, const std::stop_token& stop) const {
    const std::int64_t headDim = m_config.headDim;
    const std::int64_t heads = m_config.heads;
    const std::int64_t kvHeads = m_config.kvHeads;
    auto x = m_embedding.narrow(0, id, 1); // [1, C]
    const auto angles = cache.answerAngles.rows(cache.answered, 1);
    for (int i = 0; i < m_config.layers; ++i) {
        throwIfStopped(stop);
        const auto& layer = *m_layers[static_cast<std::size_t>(i)];
        const auto qkv =
            layer.qkv(rmsNorm(x, layer.attentionNorm, m_config.eps)).view({1, heads + 2 * kvHeads, headDim});
        rotateHalfInPlace(qkv.narrow(1, 0, heads + kvHeads), angles);
        cache.append(i, qkv.narrow(1, heads, kvHeads), qkv.narrow(1, heads + kvHeads, kvHeads));
        x = x + layer.out(attendFromLast(qkv[0].narrow(0, 0, heads), cache.layer(i)));
        x = x + layer.mlp(x, m_config.eps);
    }
    ++cache.answered;
    return logits(rmsNorm(x, m_norm, m_config.eps))[0];
}

} // namespace canopy::accel
