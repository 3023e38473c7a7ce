#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "accel/policies/state_parts.h"

namespace canopy::accel {

/// One chunk in one row of the sampling loop.
struct ChunkStep {
    int chunk = 0;
    int localStep = 0; ///< steps this chunk has made before
    double timestep = 0;
};

struct RowInfo {
    int row = 0;
    std::vector<ChunkStep> chunks; ///< those that advance, ascending
};

enum class RowDecision { Compute, Reuse };

/// What stood behind a decision, for records of the run.
struct DecisionReason {
    enum class Rule {
        Change, ///< the accumulated change against the threshold, or a map made from it
        WarmUp, ///< a first or last step, never reused
        Forced, ///< asked for by the person
    };
    Rule rule = Rule::Change;
    std::optional<double> change; ///< since the row before, rescaled; none where it was not asked
    double sumBefore = 0;         ///< accumulated since the last computed step
    double sumAfter = 0;          ///< if the decision stands
};

/// Decides per chunk and row whether the transformer runs or the chunk's last velocity is used again.
/// decide() is pure: state changes only in commit(), after the row has ended; a cancelled or paused row is
/// decided again. A chunk without an earlier velocity is computed whatever the policy says.
class RowPolicy {
public:
    virtual ~RowPolicy() = default;
    virtual std::vector<RowDecision> decide(const RowInfo& row) const = 0;
    virtual void commit(const RowInfo& row, const std::vector<RowDecision>& decisions) = 0;
    /// Of the last decide(), before its commit(): one for each chunk of the row.
    virtual std::vector<DecisionReason> reasons(const RowInfo& row) const {
        return std::vector<DecisionReason>(row.chunks.size());
    }
    /// Between rows: all that later decisions follow from, for a policy of the same settings to be given.
    virtual void save(StateParts&) const {}
    /// Throws std::invalid_argument where something is missing.
    virtual void restore(const StateParts&) {}
};

/// Replays a recorded map: reuse[chunk][localStep].
class FixedMask : public RowPolicy {
public:
    explicit FixedMask(std::vector<std::vector<bool>> reuse)
        : m_reuse(std::move(reuse)) {}

    std::vector<RowDecision> decide(const RowInfo& row) const override {
        std::vector<RowDecision> decisions;
        for (const auto& step : row.chunks) {
            const auto chunk = static_cast<std::size_t>(step.chunk);
            const auto local = static_cast<std::size_t>(step.localStep);
            const bool reuse =
                chunk < m_reuse.size() && local < m_reuse[chunk].size() && m_reuse[chunk][local];
            decisions.push_back(reuse ? RowDecision::Reuse : RowDecision::Compute);
        }
        return decisions;
    }
    void commit(const RowInfo&, const std::vector<RowDecision>&) override {}

private:
    std::vector<std::vector<bool>> m_reuse;
};

} // namespace canopy::accel
