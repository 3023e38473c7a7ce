#include "accel/policies/attention/temporal_mask_reuse.h"

#include <ATen/TensorOperators.h>

#include <algorithm>

namespace canopy::accel {

namespace {

std::vector<RefreshReason> byDrift(const AttentionSettings& s, const std::vector<int>& ages,
                                   const std::vector<HeadDrift>& drift) {
    std::size_t wanting = 0;
    for (const HeadDrift& d : drift)
        wanting += d.absolute > s.delta;
    const double share = static_cast<double>(wanting) / static_cast<double>(drift.size());
    std::vector<RefreshReason> reasons;
    for (std::size_t h = 0; h < drift.size(); ++h) {
        const bool wants = drift[h].absolute > s.delta;
        RefreshReason reason = RefreshReason::Reused;
        if (share > s.gateHigh)
            reason = wants ? RefreshReason::Drift : RefreshReason::Gate;
        else if (share >= s.gateLow && wants)
            reason = RefreshReason::Drift;
        if (reason == RefreshReason::Reused && s.hardCap && drift[h].absolute > 2 * s.delta)
            reason = RefreshReason::Cap;
        if (reason == RefreshReason::Reused && s.maxAge > 0 && ages[h] >= s.maxAge)
            reason = RefreshReason::Age;
        reasons.push_back(reason);
    }
    return reasons;
}

} // namespace

PooledMeans poolMeans(const AttentionCall& call) {
    if (call.qMean.defined() && call.kMean.defined())
        return {call.qMean, call.kMean};
    return {call.q[0].mean(0, false, at::kFloat), call.k[0].mean(0, false, at::kFloat)};
}

std::vector<HeadDrift> driftOf(const PooledMeans& anchor, const PooledMeans& now) {
    const at::Tensor moved = ops::meanDrift(anchor, now).to(at::kDouble).cpu();
    const at::Tensor size = (anchor.q.abs().sum(1) + anchor.k.abs().sum(1)).to(at::kDouble).cpu();
    std::vector<HeadDrift> drift;
    for (std::int64_t h = 0; h < moved.size(0); ++h) {
        const double d = moved.const_data_ptr<double>()[h], norm = size.const_data_ptr<double>()[h];
        drift.push_back({d, norm > 0 ? d / norm : 0});
    }
    return drift;
}

std::vector<RefreshReason> decideRefresh(const AttentionSettings& s, const std::vector<int>& ages,
                                         const std::vector<HeadDrift>& drift) {
    switch (s.reuse) {
    case MaskReuse::Off:
        return std::vector<RefreshReason>(ages.size(), RefreshReason::Schedule);
    case MaskReuse::Freeze:
        break;
    case MaskReuse::Every: {
        std::vector<RefreshReason> reasons;
        for (const int age : ages)
            reasons.push_back(age >= s.refreshInterval ? RefreshReason::Schedule : RefreshReason::Reused);
        return reasons;
    }
    case MaskReuse::Tmr:
        return byDrift(s, ages, drift);
    }
    return std::vector<RefreshReason>(ages.size(), RefreshReason::Reused);
}

ops::RefreshRule refreshRule(const AttentionSettings& s) {
    return {s.delta, s.gateLow, s.gateHigh, s.hardCap, s.maxAge};
}

} // namespace canopy::accel
