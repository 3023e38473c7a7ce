#pragma once

#include <functional>

#include "accel/policies/cache/change_rule.h"
#include "accel/policies/cache/rescale_polynomials.h"

namespace canopy::accel {

struct TeaCacheSettings {
    double threshold = 0;
    int warmup = 1;                  ///< first rows, computed
    int lastRow = -1;                ///< computed; -1 = no such row
    std::vector<ForcedSteps> forced; ///< a row with one of them is computed as a whole
    RescalePolynomial rescale;
};

/// One decision for the whole row, whatever its chunks' noise: the baseline TeaCache, flow-cache.md 5. Home
/// thread: the inference thread.
class TeaCacheRow : public RowPolicy {
public:
    /// Time feature of a row; the same shape in all rows.
    using Feature = std::function<at::Tensor(const RowInfo&)>;

    TeaCacheRow(TeaCacheSettings settings, Feature feature);
    std::vector<RowDecision> decide(const RowInfo& row) const override;
    /// `decisions` may compute what decide() would have reused; the row counts as reused only as a whole.
    void commit(const RowInfo& row, const std::vector<RowDecision>& decisions) override;
    std::vector<DecisionReason> reasons(const RowInfo& row) const override;
    void save(StateParts& parts) const override;
    void restore(const StateParts& parts) override;
    double accumulated() const { return m_rule.accumulated; }

private:
    TeaCacheSettings m_settings;
    Feature m_feature;
    ChangeRule m_rule;
    at::Tensor m_before; ///< feature of the row before
    /// Result of decide(), so that commit() need not compute the feature again.
    struct Pending {
        int row = -1;
        at::Tensor feature;
        double accumulated = 0;
        DecisionReason reason;
    };
    mutable Pending m_pending;
};

} // namespace canopy::accel
