#include "accel/policies/cache/change_rule.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>

#include <algorithm>

namespace canopy::accel {

std::vector<double> relativeChanges(const std::vector<std::pair<at::Tensor, at::Tensor>>& nowAndBefore) {
    if (nowAndBefore.empty())
        return {};
    std::vector<at::Tensor> changes;
    for (const auto& [now, before] : nowAndBefore) {
        const auto reference = before.to(at::kFloat);
        changes.push_back((now.to(at::kFloat) - reference).abs().mean() / (reference.abs().mean() + 1e-8));
    }
    const auto host = at::stack(changes).cpu();
    const auto* data = host.const_data_ptr<float>();
    return {data, data + host.numel()};
}

ChangeRule::Outcome ChangeRule::next(std::optional<double> change, bool forced) const {
    if (forced || !change || accumulated + *change >= threshold)
        return {RowDecision::Compute, 0};
    return {RowDecision::Reuse, accumulated + *change};
}

bool isForced(const std::vector<ForcedSteps>& forced, const ChunkStep& step) {
    return std::any_of(forced.begin(), forced.end(), [&](const ForcedSteps& range) {
        return range.chunk == step.chunk && range.first <= step.localStep && step.localStep < range.end;
    });
}

} // namespace canopy::accel
