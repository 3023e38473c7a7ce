#pragma once

#include <functional>
#include <map>

#include "accel/policies/cache/change_rule.h"

namespace canopy::accel {

struct LatentFeatureSettings {
    double threshold = 0;
    int warmup = 0;   ///< first steps of every chunk, computed
    int lastRow = -1; ///< computed for all chunks, as row 0 is; -1 = no such row
    std::vector<ForcedSteps> forced;
};

/// Reuse by how much a chunk's own latents changed: the binding of FlowCache to MAGI-1, flow-cache.md 3.3.
/// The feature is the patch embedding of the chunk's current latents, without time. Home thread: the
/// inference thread.
class LatentFeatureL1 : public RowPolicy {
public:
    /// Of a chunk as the row starts; the same shape in all rows of a chunk.
    using Feature = std::function<at::Tensor(const ChunkStep&)>;

    LatentFeatureL1(LatentFeatureSettings settings, Feature feature);

    /// Asks for each chunk's feature once and copies one scalar per chunk to the host, all together.
    std::vector<RowDecision> decide(const RowInfo& row) const override;
    /// `decisions` may compute what decide() would have reused.
    void commit(const RowInfo& row, const std::vector<RowDecision>& decisions) override;

    std::vector<DecisionReason> reasons(const RowInfo& row) const override;
    void save(StateParts& parts) const override;
    void restore(const StateParts& parts) override;

    double accumulated(int chunk) const; ///< since the chunk was last computed
    double lastChange(int chunk) const;  ///< in its last row; -1 when it had none before

private:
    struct Chunk {
        ChangeRule rule;
        at::Tensor feature;
        int row = -2; ///< its last one
        double change = -1;
    };
    /// Result of decide(), so that commit() need not compute the features again.
    struct Pending {
        int row = -1;
        std::vector<at::Tensor> features;
        std::vector<double> changes;
        std::vector<double> accumulated;
        std::vector<DecisionReason> reasons;
    };
    const Chunk* known(int chunk) const;

    LatentFeatureSettings m_settings;
    Feature m_feature;
    std::map<int, Chunk> m_chunks;
    mutable Pending m_pending;
};

} // namespace canopy::accel
