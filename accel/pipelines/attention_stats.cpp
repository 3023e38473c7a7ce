#include "accel/pipelines/attention_stats.h"

#include <cstddef>
#include <string>
#include <utility>

#include "core/base/value_codec.h"

namespace canopy::accel {

namespace {

template <typename Get>
Value perHead(const AttentionRecord& record, Get get) {
    Value::Array values;
    for (const auto& head : record.heads)
        values.emplace_back(get(head));
    return values;
}

Value callValue(const AttentionRecord& r) {
    using Head = AttentionRecord::Head;
    Value v;
    v.set("step", r.step).set("layer", r.layer);
    v.set("branch", r.branch == Branch::Prompt ? "prompt" : "negative");
    v.set("mode", r.mode == AttentionRecord::Mode::Warmup ? "warmup" : "sparse");
    v.set("estimate_seconds", r.estimateSeconds).set("attention_seconds", r.attentionSeconds);
    if (r.mode == AttentionRecord::Mode::Warmup)
        return v;
    v.set("kept", perHead(r, [](const Head& h) { return h.keptShare; }));
    v.set("reason", perHead(r, [](const Head& h) { return refreshReasonName(h.reason); }));
    v.set("drift", perHead(r, [](const Head& h) { return h.drift; }));
    v.set("relative_drift", perHead(r, [](const Head& h) { return h.relativeDrift; }));
    v.set("chosen_at", perHead(r, [](const Head& h) { return h.chosenAt; }));
    return v;
}

Value summaryValue(const std::vector<AttentionRecord>& records) {
    std::size_t dense = 0, heads = 0, reused = 0;
    double kept = 0, estimate = 0, attention = 0;
    for (const AttentionRecord& r : records) {
        dense += r.mode == AttentionRecord::Mode::Warmup;
        estimate += r.estimateSeconds;
        attention += r.attentionSeconds;
        for (const auto& head : r.heads) {
            ++heads;
            kept += head.keptShare;
            reused += head.reason == RefreshReason::Reused;
        }
    }
    const double count = heads > 0 ? static_cast<double>(heads) : 1.0;
    Value v;
    v.set("calls", static_cast<std::int64_t>(records.size()))
        .set("dense_calls", static_cast<std::int64_t>(dense));
    v.set("kept_share", kept / count).set("reused_share", static_cast<double>(reused) / count);
    v.set("estimate_seconds", estimate).set("attention_seconds", attention);
    return v;
}

} // namespace

std::vector<std::uint8_t> attentionStatsJson(const AttentionSettings& settings,
                                             const std::vector<AttentionRecord>& records) {
    Value::Array calls;
    for (const AttentionRecord& record : records)
        calls.push_back(callValue(record));
    Value v;
    v.set("version", 1).set("attention", toValue(settings)).set("summary", summaryValue(records));
    v.set("calls", std::move(calls));
    const std::string text = toJson(v);
    return {text.begin(), text.end()};
}

} // namespace canopy::accel
