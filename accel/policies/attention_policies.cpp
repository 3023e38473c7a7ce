#include "accel/policies/attention_policies.h"

#include <utility>

#include "accel/policies/attention/sparse_attention.h"
#include "accel/policies/attention/svg2.h"
#include "accel/policies/attention/top_k_blocks.h"
#include "accel/policies/attention/xattention.h"
#include "accel/policies/window_attention.h"

namespace canopy::accel {

std::unique_ptr<SparseHost> makeSparseHost(const AttentionSettings& s) {
    const HeadThresholds tau = s.headTau.empty() ? HeadThresholds{s.tau} : HeadThresholds(s.headTau);
    switch (s.method) {
    case AttentionMethod::XAttention:
        return std::make_unique<XAttention>(tau, s.stride);
    case AttentionMethod::TopK:
        return std::make_unique<TopKBlocks>(s.keep, s.stride);
    case AttentionMethod::Svg2: {
        Svg2Settings settings;
        settings.queryClusters = s.queryClusters;
        settings.keyClusters = s.keyClusters;
        settings.p = tau;
        settings.minimumShare = s.minimumShare;
        return std::make_unique<Svg2>(std::move(settings));
    }
    case AttentionMethod::Dense:
    case AttentionMethod::Window:
        break;
    }
    return nullptr;
}

std::unique_ptr<AttentionPolicy> makeAttentionPolicy(const AttentionSettings& settings,
                                                     AttentionTelemetry telemetry) {
    if (settings.method == AttentionMethod::Window)
        return std::make_unique<WindowAttention>(settings.windowFrames);
    auto host = makeSparseHost(settings);
    if (!host)
        return nullptr;
    return std::make_unique<SparseAttention>(std::move(host), settings, std::move(telemetry));
}

} // namespace canopy::accel
