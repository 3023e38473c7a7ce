#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "accel/nn/forward_context.h"
#include "core/job/attention_telemetry.h"

namespace canopy::accel {

/// Which keys the queries of one layer and branch see, head by head, as one host describes it.
class SparseMask {
public:
    virtual ~SparseMask() = default;
    /// Drops the choice and keeps what starts the next one. Called where nothing is reused.
    virtual void forgetChoice() = 0;
};

/// A way to choose keys (XAttention, SVG2, a baseline). Holds settings only; what belongs to a layer and
/// branch lies in its mask. Calls have equally many queries and keys and no causal blocks.
class SparseHost {
public:
    virtual ~SparseHost() = default;

    /// Whether warmUp() does anything.
    virtual bool usesWarmUp() const { return false; }
    /// Sees a call that stays dense, one of `warmupSteps` for its layer, so that `mask` is prepared.
    virtual void warmUp(const AttentionCall& /*call*/, int /*warmupSteps*/,
                        std::unique_ptr<SparseMask>& /*mask*/) const {}
    /// Chooses for `heads` (ascending); the others keep their choice. All heads where `mask` holds none yet.
    /// Called twice for the same step (a row that was cancelled), it makes the same choice.
    virtual void choose(const AttentionCall& call, const std::vector<std::int64_t>& heads,
                        std::unique_ptr<SparseMask>& mask) const = 0;
    /// Whether chooseWhere() works for a call.
    virtual bool choosesWithoutHost(const AttentionCall& /*call*/) const { return false; }
    /// choose() for the heads whose `anew` (bool [H] beside the call's tensors) is true, into a mask that
    /// holds a choice already: the same choice, but the host never waits for the flags.
    virtual void chooseWhere(const AttentionCall& /*call*/, const at::Tensor& /*anew*/,
                             SparseMask& /*mask*/) const {}
    /// Attention over the chosen keys of all heads. Returns [1, L, H, D].
    virtual at::Tensor attend(const AttentionCall& call, const SparseMask& mask) const = 0;
    /// Per head: kept pairs over all pairs. May read from the card.
    virtual std::vector<double> keptShare(const SparseMask& mask) const = 0;
    /// Per head, without its place in the clip; none where a mask is not made of blocks. May read from the
    /// card.
    virtual std::vector<BlockBitmap> bitmaps(const SparseMask& /*mask*/) const { return {}; }
};

} // namespace canopy::accel
