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
    const bool forced = row.row < m_settings.warmup || row.row == m_settings.lastRow;
    const auto outcome = m_rule.next(change, forced);
    m_pending = {row.row, feature, outcome.accumulated};
    return std::vector<RowDecision>(row.chunks.size(), outcome.decision);
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

} // namespace canopy::accel
