#include "accel/policies/cache/latent_feature_l1.h"

#include <stdexcept>

namespace canopy::accel {

LatentFeatureL1::LatentFeatureL1(LatentFeatureSettings settings, Feature feature)
    : m_settings(std::move(settings))
    , m_feature(std::move(feature)) {}

const LatentFeatureL1::Chunk* LatentFeatureL1::known(int chunk) const {
    const auto found = m_chunks.find(chunk);
    return found == m_chunks.end() ? nullptr : &found->second;
}

std::vector<RowDecision> LatentFeatureL1::decide(const RowInfo& row) const {
    Pending pending;
    pending.row = row.row;
    std::vector<std::pair<at::Tensor, at::Tensor>> pairs;
    std::vector<std::size_t> paired;
    for (std::size_t i = 0; i < row.chunks.size(); ++i) {
        pending.features.push_back(m_feature(row.chunks[i]));
        const auto* chunk = known(row.chunks[i].chunk);
        if (chunk && chunk->row == row.row - 1) {
            pairs.emplace_back(pending.features.back(), chunk->feature);
            paired.push_back(i);
        }
    }
    pending.changes.assign(row.chunks.size(), -1);
    const auto changes = relativeChanges(pairs);
    for (std::size_t i = 0; i < paired.size(); ++i)
        pending.changes[paired[i]] = changes[i];

    std::vector<RowDecision> decisions;
    for (std::size_t i = 0; i < row.chunks.size(); ++i) {
        const auto& step = row.chunks[i];
        const auto* chunk = known(step.chunk);
        const bool asked = isForced(m_settings.forced, step);
        const bool forced =
            asked || row.row == 0 || row.row == m_settings.lastRow || step.localStep < m_settings.warmup;
        const ChangeRule rule = chunk ? chunk->rule : ChangeRule{m_settings.threshold, 0};
        const auto change = pending.changes[i] < 0 ? std::nullopt : std::optional<double>(pending.changes[i]);
        const auto outcome = rule.next(change, forced);
        decisions.push_back(outcome.decision);
        pending.accumulated.push_back(outcome.accumulated);
        pending.reasons.push_back({asked    ? DecisionReason::Rule::Forced
                                   : forced ? DecisionReason::Rule::WarmUp
                                            : DecisionReason::Rule::Change,
                                   change, rule.accumulated, outcome.accumulated});
    }
    m_pending = std::move(pending);
    return decisions;
}

void LatentFeatureL1::commit(const RowInfo& row, const std::vector<RowDecision>& decisions) {
    if (m_pending.row != row.row || m_pending.features.size() != row.chunks.size())
        throw std::logic_error("a row must be decided before it is committed");
    for (std::size_t i = 0; i < row.chunks.size(); ++i) {
        const bool reused = decisions[i] == RowDecision::Reuse;
        // Changes run from row to row, after a reused row too.
        m_chunks[row.chunks[i].chunk] = {
            ChangeRule{m_settings.threshold, reused ? m_pending.accumulated[i] : 0.0}, m_pending.features[i],
            row.row, m_pending.changes[i]};
    }
    m_pending = {};
}

std::vector<DecisionReason> LatentFeatureL1::reasons(const RowInfo& row) const {
    if (m_pending.row != row.row || m_pending.reasons.size() != row.chunks.size())
        throw std::logic_error("a row must be decided before its reasons are asked");
    return m_pending.reasons;
}

void LatentFeatureL1::save(StateParts& parts) const {
    Value::Array chunks;
    for (const auto& [index, chunk] : m_chunks) {
        chunks.push_back(listOf(index, chunk.row, chunk.rule.accumulated, chunk.change));
        parts.put("policy.feature." + std::to_string(index), chunk.feature);
    }
    parts.values.set("latent_feature", std::move(chunks));
}

void LatentFeatureL1::restore(const StateParts& parts) {
    m_chunks.clear();
    m_pending = {};
    for (const Value& entry : parts.values["latent_feature"].asArray()) {
        const auto& fields = entry.asArray();
        if (fields.size() != 4)
            throw std::invalid_argument("a chunk of the reuse policy lacks fields");
        const auto index = static_cast<int>(fields[0].asInt());
        const auto feature = parts.get("policy.feature." + std::to_string(index));
        if (!feature.defined())
            throw std::invalid_argument("a feature of the reuse policy is missing");
        m_chunks[index] = {ChangeRule{m_settings.threshold, fields[2].asDouble()}, feature,
                           static_cast<int>(fields[1].asInt()), fields[3].asDouble()};
    }
}

double LatentFeatureL1::accumulated(int chunk) const {
    const auto* state = known(chunk);
    return state ? state->rule.accumulated : 0;
}

double LatentFeatureL1::lastChange(int chunk) const {
    const auto* state = known(chunk);
    return state ? state->change : -1;
}

} // namespace canopy::accel
