#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "accel/policies/attention/attention_record.h"
#include "accel/policies/attention/sparse_host.h"
#include "accel/policies/attention/temporal_mask_reuse.h"

namespace canopy::accel {

/// Runs a host from step to step: dense warm-up, then for every layer and branch the decision which heads
/// choose anew (decideRefresh), the choice, and attention over it. State belongs to one clip: it starts again
/// when the step goes back or the shape changes. A row that is cancelled and run again gives the same bits.
/// Nothing waits for the card between layers where the host can choose there and no telemetry is wanted: the
/// same decisions are made beside the numbers. Throws JobError with a sentence when queries or keys are not
/// finite (on a card with the next step's first call; numbers of the last step reach the sampler's own
/// check), and when the call is block-causal or has keys of earlier chunks.
class SparseAttention : public AttentionPolicy {
public:
    SparseAttention(std::unique_ptr<SparseHost> host, AttentionSettings settings,
                    AttentionTelemetry telemetry = {});
    at::Tensor attend(const AttentionCall& call) override;
    bool readsMeans(int step) const override { return step >= m_settings.warmup; }

private:
    struct LayerState {
        std::unique_ptr<SparseMask> mask;
        DriftAnchor anchor; ///< at each head's last choice; read by Tmr alone
        std::vector<int>
            chosenAt; ///< per head; empty before the first choice, and while anchor.chosenAt is defined
        int lastStep = -1;
        std::vector<std::int64_t> shape;
    };

    /// Whether means are finite is not known until the host reads it.
    struct Unsettled {
        int step, layer;
        PooledMeans means;
    };

    /// At once, or with the next step's first call.
    void checkFinite(const AttentionCall& call, const PooledMeans& means, bool mayWait);
    void settleFinite(const AttentionCall& call);
    /// Beside the numbers, for heads that have a choice.
    void chooseBeside(const AttentionCall& call, const PooledMeans& means, LayerState& state) const;
    struct Decision {
        std::vector<RefreshReason> reasons;
        std::vector<HeadDrift> drift; ///< empty where nothing was measured
    };
    Decision chooseOnHost(const AttentionCall& call, const PooledMeans& means, LayerState& state) const;
    at::Tensor warmUp(const AttentionCall& call, LayerState& state);
    void tellMasks(const AttentionCall& call, const SparseMask& mask) const;
    bool isWatched() const;
    double clock(bool watched) const; ///< 0 unless watched

    std::unique_ptr<SparseHost> m_host;
    AttentionSettings m_settings;
    AttentionTelemetry m_telemetry;
    std::map<std::pair<Branch, int>, LayerState> m_layers;
    std::vector<Unsettled> m_unsettled; ///< of one step
};

} // namespace canopy::accel
