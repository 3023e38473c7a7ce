#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <doctest/doctest.h>

#include "accel/policies/cache/kv_timeline.h"
#include "accel/samplers/chunk_plan.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

using namespace canopy::accel;

namespace {

std::vector<int> ints(const Value& list) {
    std::vector<int> out;
    for (const auto& v : list.asArray())
        out.push_back(static_cast<int>(v.asInt()));
    return out;
}

} // namespace

void checkMagiSchedule(const ParityCase& reference) {
    const auto& settings = reference.json()["params"]["settings"].asArray();
    const auto& described = reference.json()["settings"].asArray();
    REQUIRE(settings.size() == described.size());
    for (std::size_t s = 0; s < settings.size(); ++s) {
        const auto& v = settings[s].asArray();
        const std::string& key = described[s]["key"].asString();
        CAPTURE(key);
        MagiSetting setting;
        setting.chunks = static_cast<int>(v[0].asInt());
        setting.window = static_cast<int>(v[1].asInt());
        setting.steps = static_cast<int>(v[2].asInt());
        setting.prefixChunks = static_cast<int>(v[3].asInt());
        setting.shortcut = v[4].asString() == "16,16,8" ? MagiShortcut::Early : MagiShortcut::Late;
        const auto plan = magiPlan(setting);
        const auto rows = static_cast<std::int64_t>(plan.rows.size());
        REQUIRE(rows == described[s]["rows"].asInt());
        expectClose(at::tensor(magiTimes(setting.steps, setting.shortcut), at::kDouble),
                    reference.tensor(key + ".t").to(at::kDouble), reference.tolerance(), key + " t");
        expectClose(at::tensor(magiIntervals(setting.steps, setting.shortcut), at::kDouble),
                    reference.tensor(key + ".interval").to(at::kDouble), reference.tolerance(),
                    key + " interval");

        const auto tokens = described[s]["tokens_per_chunk"].asInt();
        auto active = at::full({rows, 2}, -1, at::kInt);
        auto local = at::full({rows, setting.chunks}, -1, at::kInt);
        const auto theirTimes = reference.tensor(key + ".t_of_chunk");
        auto window = at::full({rows, setting.chunks, 2}, -1, at::kInt);
        auto all = window.clone();
        for (std::int64_t r = 0; r < rows; ++r) {
            const auto& row = plan.rows[static_cast<std::size_t>(r)];
            active[r][0] = row.front().chunk;
            active[r][1] = row.back().chunk + 1;
            for (const auto& call : row) {
                local[r][call.chunk] = call.localStep;
                CHECK(call.time == doctest::Approx(theirTimes[r][call.chunk].item<double>()).epsilon(1e-6));
                const auto near = magiKeyRange(call, setting.steps, tokens, {5, 4, 3, 2});
                const auto every = magiKeyRange(call, setting.steps, tokens, {});
                window[r][call.chunk][0] = near.first;
                window[r][call.chunk][1] = near.end;
                all[r][call.chunk][0] = every.first;
                all[r][call.chunk][1] = every.end;
            }
        }
        expectEqual(active, reference.tensor(key + ".active"), key + " active");
        expectEqual(local, reference.tensor(key + ".local_step"), key + " local_step");
        expectEqual(window, reference.tensor(key + ".kv_range_window"), key + " kv_range_window");
        expectEqual(all, reference.tensor(key + ".kv_range_all"), key + " kv_range_all");
    }
}

void checkMagiKvTimeline(const ParityCase& reference) {
    const auto& settings = reference.json()["params"]["settings"].asArray();
    const auto& results = reference.json()["settings"].asArray();
    REQUIRE(settings.size() == results.size());
    for (std::size_t s = 0; s < settings.size(); ++s) {
        CAPTURE(s);
        const auto v = ints(settings[s]);
        const auto& result = results[s];
        const auto plan = magiPlan({v[0], v[1], v[2], v[5], MagiShortcut::Late});
        const auto timeline = kvTimeline(plan, v[2] / v[1], v[3], v[4]);
        const auto& events = result["events"].asArray();
        REQUIRE(timeline.events.size() == events.size());
        for (std::size_t e = 0; e < events.size(); ++e) {
            const auto& ours = timeline.events[e];
            CHECK(ours.row == events[e]["row"].asInt());
            CHECK(ours.clean == ints(events[e]["clean"]));
            CHECK(ours.active == ints(events[e]["active"]));
            CHECK(ours.tokensBefore == events[e]["tokens_before"].asInt());
            CHECK(ours.budget == events[e]["budget"].asInt());
            CHECK(ours.nextFree == events[e]["next_free"].asInt());
        }
        const auto& context = result["context_chunks_at_stage_start"].asArray();
        REQUIRE(timeline.context.size() == context.size());
        for (std::size_t c = 0; c < context.size(); ++c) {
            std::vector<double> theirs;
            for (const auto& value : context[c].asArray())
                theirs.push_back(value.asDouble());
            CHECK(timeline.context[c] == theirs);
        }
        CHECK(timeline.peakRows == result["peak_rows"].asInt());
        const auto& failure = result["failure"];
        REQUIRE(timeline.overflowRow.has_value() == !failure.isNull());
        if (timeline.overflowRow)
            CHECK(*timeline.overflowRow == failure["row"].asInt());
    }
}

} // namespace canopy::test
