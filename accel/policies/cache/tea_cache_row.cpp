#include "accel/policies/cache/tea_cache_row.h"

#include <algorithm>
#include <stdexcept>

namespace canopy::accel {

TeaCacheRow::TeaCacheRow(TeaCacheSettings settings, Feature feature)
    : m_settings(std::move(settings))
    , m_feature(std::move(feature))
    , m_rule{m_settings.threshold, 0} {}

std::vector<RowDecision> TeaCacheRow::decide(const RowInfo& row) const {
    const auto feature = m_feature(row);
    std::optional<double> change;
    if (m_before.defined())
        change = m_settings.rescale(relativeChanges({{feature, m_before}}).front());
    const bool asked = std::any_of(row.chunks.begin(), row.chunks.end(),
                                   [&](const ChunkStep& step) { return isForced(m_settings.forced, step); });
    const bool warmUp = row.row < m_settings.warmup || row.row == m_settings.lastRow;
    const auto outcome = m_rule.next(change, asked || warmUp);
    const auto rule = asked    ? DecisionReason::Rule::Forced
                      : warmUp ? DecisionReason::Rule::WarmUp
                               : DecisionReason::Rule::Change;
    m_pending = {
        row.row, feature, outcome.accumulated, {rule, change, m_rule.accumulated, outcome.accumulated}};
    return std::vector<RowDecision>(row.chunks.size(), outcome.decision);
}

std::vector<DecisionReason> TeaCacheRow::reasons(const RowInfo& row) const {
    if (m_pending.row != row.row)
        throw std::logic_error("a row must be decided before its reasons are asked");
    return std::vector<DecisionReason>(row.chunks.size(), m_pending.reason);
}

void TeaCacheRow::commit(const RowInfo& row, const std::vector<RowDecision>& decisions) {
    if (m_pending.row != row.row || !m_pending.feature.defined())
        throw std::logic_error("a row must be decided before it is committed");
    const bool computed =
        std::find(decisions.begin(), decisions.end(), RowDecision::Compute) != decisions.end();
    m_rule.accumulated = computed ? 0 : m_pending.accumulated;
    m_before = m_pending.feature;
    m_pending = {};
}

void TeaCacheRow::save(StateParts& parts) const {
    parts.values.set("tea_cache", m_rule.accumulated);
    parts.put("policy.before", m_before);
}

void TeaCacheRow::restore(const StateParts& parts) {
    if (!parts.values["tea_cache"].isNumber())
        throw std::invalid_argument("the sum of the reuse policy is missing");
    m_rule.accumulated = parts.values["tea_cache"].asDouble();
    m_before = parts.get("policy.before");
    m_pending = {};
}

} // namespace canopy::accel
