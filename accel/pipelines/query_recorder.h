#pragma once

#include <vector>

#include "accel/nn/attention.h"
#include "accel/policies/cache/kv_compression.h"

namespace canopy::accel {

/// Keeps what a compression of keys looks at: the observed queries of the last pass, per branch and layer.
class QueryRecorder : public AttentionPolicy {
public:
    /// `inner` may be null: dense.
    QueryRecorder(AttentionPolicy* inner, int layers, const KvCompressionSettings& settings,
                  std::vector<at::Tensor>& queries)
        : m_inner(inner)
        , m_layers(layers)
        , m_settings(settings)
        , m_queries(queries) {
        m_queries.resize(static_cast<std::size_t>(layers) * kBranches);
    }

    at::Tensor attend(const AttentionCall& call) override {
        const auto slot = static_cast<std::size_t>(call.branch) * static_cast<std::size_t>(m_layers) +
                          static_cast<std::size_t>(call.layer);
        m_queries[slot] = observedQueries(call.q[0], m_settings).clone();
        return m_inner ? m_inner->attend(call) : denseAttention(call);
    }

private:
    AttentionPolicy* m_inner;
    int m_layers;
    KvCompressionSettings m_settings;
    std::vector<at::Tensor>& m_queries;
};

} // namespace canopy::accel
