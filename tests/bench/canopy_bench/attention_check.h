#pragma once

#include <string>

#include "tests/bench/canopy_bench/attention_cases.h"

namespace canopy::bench {

struct CheckResult {
    double relativeError = 0;   ///< of the sampled rows, ||out - reference|| / ||reference||
    double sumError = 0;        ///< largest difference of a log-sum-exp
    std::int64_t unwritten = 0; ///< elements of the whole output or log-sum-exp that kept their poison
    bool passed = false;
    std::string reason; ///< of a failure
};

/// Runs ops::attentionWithLogSumExp once on poisoned memory and compares up to 512 rows with the definition
/// in float64 on the card.
CheckResult check(const AttentionCase& what, const AttentionProblem& problem);

} // namespace canopy::bench
