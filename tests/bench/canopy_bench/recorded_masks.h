#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "tests/bench/canopy_bench/attention_cases.h"

namespace canopy::bench {

struct RecordedMask {
    AttentionCase what; ///< "recorded, step 3, layer 2"; heads and tokens of the benchmark
    at::Tensor chosen;  ///< bool [heads, blocks, blocks] on the CPU
};

/// Reads what record_masks wrote. The recorded heads are repeated in turn until there are `heads`; tokens are
/// those of the recording.
Result<std::vector<RecordedMask>> readMasks(const std::filesystem::path& path, std::int64_t heads);

/// Inputs as random as makeProblem's, the given blocks.
AttentionProblem makeProblem(const RecordedMask& mask, const at::Device& device, std::uint64_t seed);

} // namespace canopy::bench
