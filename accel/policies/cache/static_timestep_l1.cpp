#include "accel/policies/cache/static_timestep_l1.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace canopy::accel {

double StaticMap::hitRate() const {
    if (reuse.empty())
        return 0;
    return static_cast<double>(std::count(reuse.begin(), reuse.end(), true)) /
           static_cast<double>(reuse.size());
}

std::vector<double> timestepChanges(const std::vector<at::Tensor>& features,
                                    const RescalePolynomial& rescale) {
    std::vector<std::pair<at::Tensor, at::Tensor>> pairs;
    for (std::size_t k = 1; k < features.size(); ++k)
        pairs.emplace_back(features[k], features[k - 1]);
    std::vector<double> changes{0.0};
    for (const double change : relativeChanges(pairs))
        changes.push_back(rescale(change));
    return changes;
}

StaticMap staticMap(const std::vector<double>& changes, double threshold, const StaticSettings& settings) {
    StaticMap map{{}, {}, changes, settings.warmup, settings.forcedTail};
    ChangeRule rule{threshold, 0};
    const int steps = static_cast<int>(changes.size());
    for (int k = 0; k < steps; ++k) {
        const bool forced = k == 0 || k < settings.warmup || k >= steps - settings.forcedTail;
        const auto outcome = rule.next(changes[static_cast<std::size_t>(k)], forced);
        rule.accumulated = outcome.accumulated;
        map.reuse.push_back(outcome.decision == RowDecision::Reuse);
        map.accumulated.push_back(outcome.accumulated);
    }
    return map;
}

double thresholdForHitRate(const std::vector<double>& changes, double hitRate,
                           const StaticSettings& settings) {
    // A map changes only where the threshold passes a sum of neighbouring changes.
    std::vector<double> candidates{0.0};
    for (std::size_t first = 1; first < changes.size(); ++first) {
        double sum = 0;
        for (std::size_t k = first; k < changes.size(); ++k) {
            sum += changes[k];
            if (sum >= 0)
                candidates.push_back(std::nextafter(sum, std::numeric_limits<double>::infinity()));
        }
    }
    std::sort(candidates.begin(), candidates.end());
    double best = 0;
    double distance = std::numeric_limits<double>::infinity();
    for (const double threshold : candidates) {
        const double off = std::abs(staticMap(changes, threshold, settings).hitRate() - hitRate);
        if (off < distance) {
            distance = off;
            best = threshold;
        }
    }
    return best;
}

StaticTimestepL1::StaticTimestepL1(StaticMap map, std::vector<ForcedSteps> forced)
    : m_map(std::move(map))
    , m_forced(std::move(forced)) {}

std::vector<RowDecision> StaticTimestepL1::decide(const RowInfo& row) const {
    std::vector<RowDecision> decisions;
    for (const auto& step : row.chunks) {
        const auto k = static_cast<std::size_t>(step.localStep);
        const bool reuse = k < m_map.reuse.size() && m_map.reuse[k] && !isForced(m_forced, step);
        decisions.push_back(reuse ? RowDecision::Reuse : RowDecision::Compute);
    }
    return decisions;
}

std::vector<DecisionReason> StaticTimestepL1::reasons(const RowInfo& row) const {
    std::vector<DecisionReason> reasons;
    const int steps = static_cast<int>(m_map.reuse.size());
    for (const auto& step : row.chunks) {
        DecisionReason reason;
        const int k = step.localStep;
        if (isForced(m_forced, step))
            reason.rule = DecisionReason::Rule::Forced;
        else if (k == 0 || k < m_map.warmup || k >= steps - m_map.forcedTail)
            reason.rule = DecisionReason::Rule::WarmUp;
        if (k > 0 && k < steps && !m_map.changes.empty()) {
            const auto at = static_cast<std::size_t>(k);
            reason.change = m_map.changes[at];
            reason.sumBefore = m_map.accumulated[at - 1];
            reason.sumAfter = m_map.accumulated[at];
        }
        reasons.push_back(reason);
    }
    return reasons;
}

std::vector<RowDecision> AlwaysCompute::decide(const RowInfo& row) const {
    return std::vector<RowDecision>(row.chunks.size(), RowDecision::Compute);
}

} // namespace canopy::accel
