#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

#include "core/job/token_run.h"

namespace canopy::accel {

/// One video as a selection sees it: after vision tower, projector and pooling, before newlines. T frames of
/// N = rows x columns cells, all tensors on the job's device.
struct VideoTokens {
    int frames = 0;
    int rows = 0;
    int columns = 0;
    HostNewlines newlines = HostNewlines::OneToken; ///< of the host; counts where a budget counts all tokens
    at::Tensor features; ///< [T, N, D], the tower's precision; selections compute in float32
    /// Mean attention received in the tower's last block (over heads and queries), pooled like the features:
    /// float32 [T, N]. Only when needsAttention().
    at::Tensor attention;
    /// Keys of that block averaged over heads, pooled like the features: float32 [T, N, headDim]. Only when
    /// needsKeys().
    at::Tensor keys;
    /// Mean |difference| of pixel values (0..255) to the frame before, pooled to the cells: float32 [T, N],
    /// zeros for the first frame. Only when needsPixels().
    at::Tensor pixelDifference;
};

/// What is left of a video.
struct TokenSelection {
    at::Tensor kept;     ///< int64 [n] on the device: cells, ascending
    at::Tensor features; ///< [n, D] where merging changed them (order of `kept`); undefined: features[kept]
    /// Places in `kept` in the order of the sequence, for methods that on hosts without row newlines do not
    /// keep cell order; empty = cell order.
    std::vector<std::int32_t> sequence;
    /// Settings and per-cell arrays filled; newlines by layoutTokens(), frameIndex and frameSeconds by the
    /// pipeline.
    TokenRun run;
};

/// Chooses video tokens before the language model. Deterministic for equal features and settings. Home
/// thread: the inference thread.
class TokenSelector {
public:
    virtual ~TokenSelector() = default;
    virtual bool needsAttention() const { return false; }
    virtual bool needsKeys() const { return false; }
    virtual bool needsPixels() const { return false; }
    virtual TokenSelection select(const VideoTokens& video, const std::stop_token& stop) = 0;
};

/// A moment in the prefill at which the sequence may become shorter.
struct PrefillPoint {
    enum class Where : std::uint8_t { BeforeAttention, AfterAttention };
    int layer = 0;
    Where where = Where::BeforeAttention;
    at::Tensor hidden;    ///< [n, C], residual stream; goes on changing after the call
    at::Tensor positions; ///< int64 [n], RoPE positions
    /// For each token of the sequence: flat index of its patch in the unpruned video layout (frame * patches
    /// + patch, newline columns counted as patches where the host has a newline in each row), or -1 for text
    /// and the single newline. int64 [n].
    at::Tensor videoIndex;
    int frames = 0;
    int patchesPerFrame = 0; ///< P
    int layers = 0;          ///< of the language model
    /// Attention of the last token of the sequence over all n keys in the attention that ran last (this layer
    /// AfterAttention, the layer before BeforeAttention), softmax over all keys, mean over heads: float32
    /// [n]. Computed on demand; undefined BeforeAttention of layer 0.
    std::function<at::Tensor()> lastRowAttention;
};
struct PrefillReduction {
    at::Tensor keep; ///< int64 [m], ascending indices into the sequence
    /// [m, C]: the kept states, merged where the method merges. Handed over: it is changed in place.
    at::Tensor hidden;
};

/// Shortens the sequence inside the language model (FastV, FrameFusion). KV caches of layers that ran before
/// keep their length. One object per prefill.
class PrefillReducer {
public:
    virtual ~PrefillReducer() = default;
    virtual std::optional<PrefillReduction> reduce(const PrefillPoint& point) = 0;
    /// Called once after the last layer: what happened, for the run's record.
    virtual void finish(TokenRun& run) const = 0;
};

} // namespace canopy::accel
