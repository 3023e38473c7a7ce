#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/bench/canopy_bench/attention_cases.h"
#include "tests/bench/canopy_bench/attention_check.h"
#include "tests/bench/canopy_bench/card_state.h"
#include "tests/bench/canopy_bench/interleave.h"

namespace canopy::bench {

struct TimedCase {
    AttentionCase what;
    double density = 1, metadataBytes = 0; ///< density as drawn
    std::vector<Timing> timings;
    CardState card; ///< right after the last round
};

struct CheckedCase {
    AttentionCase what;
    CheckResult result;
};

struct Report {
    std::string torchVersion;
    long cudnnVersion = 0;
    CardState card;
    std::vector<CheckedCase> checks;
    std::vector<TimedCase> timed;
};

void printCheck(const CheckedCase& checked);
/// One line per contender: milliseconds, TFLOP/s per selected FLOP, and both against the first contender.
void printTimed(const TimedCase& timed);
void writeJson(const Report& report, const std::filesystem::path& path);

} // namespace canopy::bench
