#pragma once

#include "accel/policies/tokens/prefill_record.h"

namespace canopy::accel {

/// Constants of FrameFusion (arXiv 2501.01986; token-forest.md 3.1).
struct FrameFusionSettings {
    double cost = 0.3;        ///< c: share of video tokens, mean over layers
    double similarity = 0.6;  ///< S_th
    double leastMerged = 0.1; ///< merging ends below this share
};

/// FrameFusion: before the first attention and after each one until done, patches that repeat the same place
/// of the frame before are folded into it; once few repeat, those that the last position attends to least are
/// dropped, so that the mean over layers comes to the cost. Positions stay. Each call reads scalars from the
/// device: how far to go depends on how much repeats.
class FrameFusion : public PrefillReducer {
public:
    explicit FrameFusion(const FrameFusionSettings& settings)
        : m_settings(settings) {}
    std::optional<PrefillReduction> reduce(const PrefillPoint& point) override;
    void finish(TokenRun& run) const override;

    /// Share of the present patches that has to go for the cost to be met if nothing goes later (u).
    double neededShare(int layers) const;
    const std::vector<double>& mergedShares() const { return m_merged; }
    bool isMergingDone() const { return m_mergingDone; }
    bool isPruningDone() const { return m_pruningDone; }

    /// Patches by place in the frame, then time; cosine with the one before of the same place, -2 for the
    /// first.
    struct Repeats {
        at::Tensor place;  ///< int64 [n], places in the sequence
        at::Tensor cosine; ///< float32 [n]
    };
    static Repeats repeats(const PrefillPoint& point);

private:
    std::optional<PrefillReduction> merge(const PrefillPoint& point);
    PrefillReduction prune(const PrefillPoint& point);

    FrameFusionSettings m_settings;
    std::vector<double> m_merged; ///< s_1, s_2, ...
    bool m_mergingDone = false;
    bool m_pruningDone = false;
    PrefillRecord m_record;
};

} // namespace canopy::accel
