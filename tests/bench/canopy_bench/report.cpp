#include "tests/bench/canopy_bench/report.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace canopy::bench {

namespace {

using nlohmann::json;

json toJson(const AttentionCase& what) {
    return {{"name", what.name},      {"heads", what.heads},          {"tokens", what.tokens},
            {"head_dim", what.depth}, {"block_rows", what.blockRows}, {"unequal_heads", what.unequalHeads}};
}

json toJson(const CardState& card) {
    return {{"name", card.name},          {"driver", card.driver},
            {"sm_mhz", card.smMegahertz}, {"memory_mhz", card.memoryMegahertz},
            {"watts", card.watts},        {"watt_limit", card.wattLimit},
            {"celsius", card.temperature}};
}

} // namespace

void printCheck(const CheckedCase& checked) {
    std::printf("%-4s %-32s rel %.2e  lse %.1e  %s\n", checked.result.passed ? "ok" : "FAIL",
                checked.what.name.c_str(), checked.result.relativeError, checked.result.sumError,
                checked.result.reason.c_str());
    std::fflush(stdout);
}

void printTimed(const TimedCase& timed) {
    std::printf("\n%s: %lld x %lld x %lld, density %.3f, lists %.2f MB, then %u MHz at %.0f W of %.0f\n",
                timed.what.name.c_str(), static_cast<long long>(timed.what.heads),
                static_cast<long long>(timed.what.tokens), static_cast<long long>(timed.what.depth),
                timed.density, timed.metadataBytes / 1e6, timed.card.smMegahertz, timed.card.watts,
                timed.card.wattLimit);
    std::printf("  %-16s %9s %19s %9s %7s %7s  %s\n", "", "ms", "least to most", "TFLOP/s", "speed-up",
                "rate", "kernel");
    const Timing& first = timed.timings.front();
    for (const Timing& t : timed.timings) {
        std::printf("  %-16s %9.3f %9.3f %9.3f %9.1f %8.3f %7.3f  %s\n", t.name.c_str(), t.median(),
                    t.least(), t.most(), t.teraflops(), first.median() / t.median(),
                    t.teraflops() / first.teraflops(), t.kernel.c_str());
    }
    std::fflush(stdout);
}

void writeJson(const Report& report, const std::filesystem::path& path) {
    json root{{"torch", report.torchVersion},
              {"cudnn", report.cudnnVersion},
              {"card", toJson(report.card)},
              {"checks", json::array()},
              {"timed", json::array()}};
    for (const CheckedCase& checked : report.checks) {
        json entry = toJson(checked.what);
        entry["relative_error"] = checked.result.relativeError;
        entry["log_sum_exp_error"] = checked.result.sumError;
        entry["passed"] = checked.result.passed;
        entry["reason"] = checked.result.reason;
        root["checks"].push_back(entry);
    }
    for (const TimedCase& timed : report.timed) {
        json entry = toJson(timed.what);
        entry["density"] = timed.density;
        entry["list_bytes"] = timed.metadataBytes;
        entry["card"] = toJson(timed.card);
        for (const Timing& t : timed.timings) {
            entry["contenders"].push_back({{"name", t.name},
                                           {"kernel", t.kernel},
                                           {"flop", t.flop},
                                           {"median_ms", t.median()},
                                           {"tflops", t.teraflops()},
                                           {"ms", t.milliseconds}});
        }
        root["timed"].push_back(entry);
    }
    std::ofstream(path) << root.dump(1) << '\n';
}

} // namespace canopy::bench
