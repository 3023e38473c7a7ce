#pragma once

#include "accel/policies/cache/change_rule.h"
#include "accel/policies/cache/rescale_polynomials.h"

namespace canopy::accel {

/// Which steps are reused, known before sampling and the same for all chunks, branches and prompts.
struct StaticMap {
    std::vector<bool> reuse;         ///< per local step
    std::vector<double> accumulated; ///< after each step
    std::vector<double> changes;     ///< rescaled, before each step; the first is 0
    int warmup = 0;                  ///< as they were set
    int forcedTail = 0;
    double hitRate() const; ///< share of steps reused
};

struct StaticSettings {
    int warmup = 1;     ///< first steps, computed
    int forcedTail = 1; ///< last steps, computed
};

/// Rescaled changes between neighbouring steps' time features, any shape; the first is 0 and never read.
std::vector<double> timestepChanges(const std::vector<at::Tensor>& features,
                                    const RescalePolynomial& rescale);
/// The rule of flow-cache.md 3.2 over a chunk's steps: FlowCache's binding to SkyReels-V2, 3.4.
StaticMap staticMap(const std::vector<double>& changes, double threshold, const StaticSettings& settings);
/// The smallest threshold whose map comes closest to a share of reused steps in 0 .. 1.
double thresholdForHitRate(const std::vector<double>& changes, double hitRate,
                           const StaticSettings& settings);

/// Replays the map for every chunk.
class StaticTimestepL1 : public RowPolicy {
public:
    explicit StaticTimestepL1(StaticMap map, std::vector<ForcedSteps> forced = {});
    std::vector<RowDecision> decide(const RowInfo& row) const override;
    void commit(const RowInfo&, const std::vector<RowDecision>&) override {}
    std::vector<DecisionReason> reasons(const RowInfo& row) const override;

private:
    StaticMap m_map;
    std::vector<ForcedSteps> m_forced;
};

/// Computes everything: the reference that reuse is measured against.
class AlwaysCompute : public RowPolicy {
public:
    std::vector<RowDecision> decide(const RowInfo& row) const override;
    void commit(const RowInfo&, const std::vector<RowDecision>&) override {}
};

} // namespace canopy::accel
