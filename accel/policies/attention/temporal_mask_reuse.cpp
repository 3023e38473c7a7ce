#include "accel/policies/attention/temporal_mask_reuse.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>

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
    return {call.q[0].mean(0, false, at::kFloat), call.k[0].mean(0, false, at::kFloat)};
}

at::Tensor absoluteDrift(const PooledMeans& anchor, const PooledMeans& now) {
    return ((anchor.q - now.q).abs().sum(1) + (anchor.k - now.k).abs().sum(1)).to(at::kDouble);
}

std::vector<HeadDrift> driftOf(const PooledMeans& anchor, const PooledMeans& now) {
    const at::Tensor moved = absoluteDrift(anchor, now).cpu();
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

at::Tensor decideRefreshBeside(const AttentionSettings& s, const at::Tensor& ages, const at::Tensor& drift) {
    const auto number = [](RefreshReason reason) { return static_cast<std::int64_t>(reason); };
    const at::Tensor wants = drift > s.delta;
    const at::Tensor share = wants.sum().to(at::kDouble) / static_cast<double>(drift.size(0));
    at::Tensor reasons = at::zeros_like(ages);
    // Later fills overrule earlier ones.
    reasons.masked_fill_(share > s.gateHigh, number(RefreshReason::Gate));
    reasons.masked_fill_(wants & ((share >= s.gateLow) | (share > s.gateHigh)), number(RefreshReason::Drift));
    if (s.hardCap)
        reasons.masked_fill_((reasons == 0) & (drift > 2 * s.delta), number(RefreshReason::Cap));
    if (s.maxAge > 0)
        reasons.masked_fill_((reasons == 0) & (ages >= s.maxAge), number(RefreshReason::Age));
    return reasons;
}

} // namespace canopy::accel
