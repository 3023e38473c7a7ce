#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <utility>
#include <vector>

#include "accel/policies/row_policy.h"

namespace canopy::accel {

/// mean|now - before| / (mean|before| + 1e-8) per pair, in float32; one copy to the host for all of them.
std::vector<double> relativeChanges(const std::vector<std::pair<at::Tensor, at::Tensor>>& nowAndBefore);

/// Changes since the last computed row against a threshold: flow-cache.md 3.2. A value, one per chunk.
struct ChangeRule {
    double threshold = 0;
    double accumulated = 0; ///< since the last computed row

    struct Outcome {
        RowDecision decision = RowDecision::Compute;
        double accumulated = 0; ///< after the row
    };
    /// What the row would be; `change` is rescaled already and missing where the chunk was not in the row
    /// before.
    Outcome next(std::optional<double> change, bool forced) const;
};

/// Steps [first, end) of a chunk that are computed whatever a policy says.
struct ForcedSteps {
    int chunk = 0;
    int first = 0;
    int end = 0;
};
bool isForced(const std::vector<ForcedSteps>& forced, const ChunkStep& step);

} // namespace canopy::accel
