#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>
#include <vector>

#include "accel/models/qwen2/kv_cache.h"
#include "accel/nn/linear.h"
#include "accel/nn/token_hooks.h"
#include "core/formats/qa_model.h"

namespace canopy::accel {

class WeightReader;

/// Qwen2 language model: pre-norm blocks with RMS norm, grouped-query attention under the rotary embedding,
/// gated SiLU. token-forest.md 1.8. n tokens, C width, V vocabulary. Norms, softmax and logits are float32.
/// Owns weights only; a sequence's state is its KvCache. Home thread: the inference thread.
class Qwen2 {
public:
    Qwen2(const Qwen2Config& config, WeightReader& weights);
    ~Qwen2();

    /// Embeddings of ids, int64 [n]: [n, C].
    at::Tensor embed(const at::Tensor& ids) const;

    using Tap = std::function<void(std::string_view name, const at::Tensor& x)>;

    struct Prefill {
        at::Tensor embeddings;           ///< [n, C]
        at::Tensor positions;            ///< int64 [n]
        std::int64_t answerPosition = 0; ///< of the first token after the prompt

        /// Shortens the sequence between layers; null = no one does. The fields below are what it is told
        /// (PrefillPoint), and it must keep the last token.
        PrefillReducer* reducer = nullptr;
        at::Tensor videoIndex; ///< int64 [n]
        int frames = 0;
        int patchesPerFrame = 0;

        std::stop_token stop;               ///< read between layers
        std::function<void(int)> layerDone; ///< layers finished
        bool wantsAllLogits = false;        ///< of every token instead of the last one only
        /// Sees "layer<i>.q", "layer<i>.k" (before the rotary embedding), "layer<i>.self_attn",
        /// "layer<i>.mlp", "layer<i>" and "final_norm".
        Tap tap;
    };
    /// Runs a prompt and fills the cache. Logits float32: [V] of the last token, or [n, V].
    at::Tensor prefill(const Prefill& call, KvCache& cache) const;

    /// One more token: its id in, logits float32 [V] of the next one out. Its position follows the prompt's
    /// and earlier steps' (Prefill::answerPosition).
    at::Tensor step(std::int32_t id, KvCache& cache, const std::stop_token& stop) const;

    const Qwen2Config& config() const { return m_config; }
    /// Bytes of weights that a step reads.
    std::uint64_t bytesPerStep() const;

private:
    struct Layer;
    struct LastRow;
    at::Tensor logits(const at::Tensor& hidden) const;

    Qwen2Config m_config;
    at::Tensor m_embedding; ///< [V, C]
    Linear m_head;          ///< the embedding itself where they are tied
    at::Tensor m_norm;      ///< [C]
    std::vector<std::unique_ptr<Layer>> m_layers;
};

} // namespace canopy::accel
