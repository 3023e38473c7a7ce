#pragma once

#include "accel/policies/tokens/prefill_record.h"

namespace canopy::accel {

/// FastV (arXiv 2403.06764; token-forest.md 3.5): before layer 2 the patches to which the last position
/// attended most in layer 1 stay, a share of them; layers 0 and 1 keep every key and value. Positions stay.
/// One scalar, the number of patches, is read from the device.
class FastV : public PrefillReducer {
public:
    static constexpr int kLayer = 2;
    explicit FastV(double share)
        : m_share(share) {}
    std::optional<PrefillReduction> reduce(const PrefillPoint& point) override;
    void finish(TokenRun& run) const override;

private:
    double m_share;
    bool m_reduced = false;
    PrefillRecord m_record;
};

} // namespace canopy::accel
