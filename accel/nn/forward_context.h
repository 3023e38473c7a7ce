#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

namespace canopy::accel {

class KvPool;

/// Guidance branch that a forward pass belongs to. Caches and decisions are kept per branch.
enum class Branch : std::uint8_t { Prompt, Negative };
inline constexpr int kBranches = 2;

/// Video tokens in (frame, row, column) order. `firstFrame` is the absolute latent frame of the first token:
/// chunks of a longer clip keep their place in time.
struct TokenGrid {
    int frames = 0;
    int rows = 0;
    int columns = 0;
    int firstFrame = 0;
    std::int64_t tokensPerFrame() const { return std::int64_t{rows} * columns; }
    std::int64_t tokens() const { return frames * tokensPerFrame(); }
};

/// Latent frames that move together; relative to the first frame of the pass.
struct ChunkSpan {
    int chunk = 0;
    int firstFrame = 0;
    int frames = 0;
};

/// One self-attention: queries and keys after norm and RoPE. L_k >= L_q when keys of earlier chunks come from
/// a KvPool; the last L_q keys are then the pass's own.
struct AttentionCall {
    int step = 0;
    int layer = 0;
    Branch branch = Branch::Prompt;
    TokenGrid grid;            ///< of the queries
    int causalBlockFrames = 0; ///< > 0: a token of frame block i sees all tokens of blocks j <= i
    at::Tensor q;              ///< [1, L_q, H, D]
    at::Tensor k;              ///< [1, L_k, H, D]
    at::Tensor v;              ///< [1, L_k, H, D]
    /// Means over tokens of q and k, float32 [H, D], where the policy reads them; undefined otherwise.
    at::Tensor qMean, kMean;
};

/// Replaces the dense self-attention (XAttention, SVG2, windows, recorders). Returns [1, L_q, H, D].
/// denseAttention(call) in nn/attention.h is what runs without a policy.
class AttentionPolicy {
public:
    virtual ~AttentionPolicy() = default;
    virtual at::Tensor attend(const AttentionCall& call) = 0;
    /// Whether calls of `step` should bring qMean and kMean. A policy calculates them itself where they are
    /// absent.
    virtual bool readsMeans(int /*step*/) const { return false; }
};

/// Sees the hidden states [L, C] between layers: after embedding (layer = -1), after each block, and may
/// replace them.
class LayerBoundary {
public:
    virtual ~LayerBoundary() = default;
    virtual void passed(int layer, Branch branch, at::Tensor& hidden) = 0;
};

/// Called between rows when a chunk is done: squeeze or rewrite its keys and values.
class KvFinaliser {
public:
    virtual ~KvFinaliser() = default;
    virtual void finalise(KvPool& pool, int chunk) = 0;
};

/// Everything one forward pass needs beside its tensors. Built by a pipeline, read by models; models keep
/// nothing.
struct ForwardContext {
    int step = 0; ///< row of the sampling loop
    Branch branch = Branch::Prompt;
    TokenGrid grid;
    std::vector<ChunkSpan> chunks; ///< rows of the pass to chunks; empty = one chunk
    int causalBlockFrames = 0;     ///< see AttentionCall
    KvPool* kv = nullptr; ///< when set, keys and values are written there and earlier chunks' are attended to
    std::stop_token stop;
    /// After each transformer block: progress, and the device's event ring that keeps the host two blocks
    /// ahead.
    std::function<void(int layer)> blockDone;

    AttentionPolicy* attention = nullptr;
    LayerBoundary* boundary = nullptr;
};

} // namespace canopy::accel
