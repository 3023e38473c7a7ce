#include "core/studio/telemetry_export.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "core/base/value_codec.h"
#include "core/formats/npz_writer.h"

namespace canopy {

namespace {

constexpr std::array<GuidanceBranch, 2> kBranches = {GuidanceBranch::Prompt, GuidanceBranch::Negative};
constexpr int kDense = -1, kNotRecorded = -2;

/// Shortest text that reads back as the same number.
std::string text(double value) {
    return toJson(Value(value));
}

} // namespace

std::string telemetryCsv(const RunTelemetry& run) {
    std::string out = "step,branch,layer,head,mode,kept_share,reason,drift,relative_drift,chosen_at\n";
    for (const auto& step : run.steps)
        for (const AttentionRecord& call : step->calls) {
            const std::string start = std::to_string(call.step) + "," +
                                      std::string(guidanceBranchName(call.branch)) + "," +
                                      std::to_string(call.layer) + ",";
            if (call.mode == AttentionRecord::Mode::Warmup)
                for (int h = 0; h < call.headCount; ++h)
                    out += start + std::to_string(h) + ",dense,1,,,,\n";
            for (std::size_t h = 0; h < call.heads.size(); ++h) {
                const auto& head = call.heads[h];
                out += start + std::to_string(h) + ",sparse," + text(head.keptShare) + "," +
                       std::string(refreshReasonName(head.reason)) + "," + text(head.drift) + "," +
                       text(head.relativeDrift) + "," + std::to_string(head.chosenAt) + "\n";
            }
        }
    return out;
}

Result<std::vector<std::uint8_t>> telemetryNpz(const RunTelemetry& run) {
    std::int64_t layers = 0, heads = 0;
    for (const auto& step : run.steps)
        for (const AttentionRecord& call : step->calls) {
            layers = std::max<std::int64_t>(layers, call.layer + 1);
            heads = std::max<std::int64_t>({heads, call.headCount, std::int64_t(call.heads.size())});
        }
    const auto steps = static_cast<std::int64_t>(run.steps.size());
    const auto calls = static_cast<std::size_t>(steps * 2 * layers);
    const auto cells = calls * static_cast<std::size_t>(heads);
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    std::vector<std::int32_t> stepNumbers, reason(cells, kNotRecorded), chosenAt(cells, kNotRecorded);
    std::vector<double> stepSeconds, attention(calls, kNone), estimate(calls, kNone), kept(cells, kNone),
        drift(cells, kNone), relative(cells, kNone);
    for (std::size_t s = 0; s < run.steps.size(); ++s) {
        stepNumbers.push_back(run.steps[s]->step);
        stepSeconds.push_back(run.steps[s]->seconds);
        for (const AttentionRecord& call : run.steps[s]->calls) {
            const std::size_t at =
                (s * 2 + static_cast<std::size_t>(call.branch)) * static_cast<std::size_t>(layers) +
                static_cast<std::size_t>(call.layer);
            attention[at] = call.attentionSeconds;
            estimate[at] = call.estimateSeconds;
            const std::size_t first = at * static_cast<std::size_t>(heads);
            if (call.mode == AttentionRecord::Mode::Warmup)
                for (int h = 0; h < call.headCount; ++h) {
                    kept[first + static_cast<std::size_t>(h)] = 1;
                    reason[first + static_cast<std::size_t>(h)] = kDense;
                }
            for (std::size_t h = 0; h < call.heads.size(); ++h) {
                kept[first + h] = call.heads[h].keptShare;
                drift[first + h] = call.heads[h].drift;
                relative[first + h] = call.heads[h].relativeDrift;
                reason[first + h] = static_cast<std::int32_t>(call.heads[h].reason);
                chosenAt[first + h] = call.heads[h].chosenAt;
            }
        }
    }
    NpzWriter npz;
    const std::array<std::int64_t, 1> perStep{steps};
    const std::array<std::int64_t, 3> perCall{steps, 2, layers};
    const std::array<std::int64_t, 4> perHead{steps, 2, layers, heads};
    npz.add("step", perStep, stepNumbers);
    npz.add("step_seconds", perStep, stepSeconds);
    npz.add("attention_seconds", perCall, attention);
    npz.add("estimate_seconds", perCall, estimate);
    npz.add("kept", perHead, kept);
    npz.add("drift", perHead, drift);
    npz.add("relative_drift", perHead, relative);
    npz.add("reason", perHead, reason);
    npz.add("chosen_at", perHead, chosenAt);
    std::set<std::string> names; // a row that was run again brought its masks twice
    for (auto it = run.masks.rbegin(); it != run.masks.rend(); ++it)
        for (const BlockBitmap& map : **it) {
            const std::string name = "mask_s" + std::to_string(map.step) + "_" +
                                     std::string(guidanceBranchName(map.branch)) + "_l" +
                                     std::to_string(map.layer) + "_h" + std::to_string(map.head);
            if (!names.insert(name).second)
                continue;
            std::vector<std::uint8_t> cellsOf;
            for (int q = 0; q < map.blocks; ++q)
                for (int k = 0; k < map.blocks; ++k)
                    cellsOf.push_back(map.kept(q, k));
            npz.add(name, std::array<std::int64_t, 2>{map.blocks, map.blocks}, cellsOf);
        }
    return npz.finish();
}

} // namespace canopy
