#include "accel/pipelines/attention_stats.h"

#include <string>
#include <utility>

#include "core/base/value_codec.h"

namespace canopy::accel {

std::vector<std::uint8_t> attentionStatsJson(const AttentionSettings& settings,
                                             const std::vector<AttentionRecord>& records) {
    Value::Array calls;
    for (const AttentionRecord& record : records)
        calls.push_back(toValue(record));
    Value v;
    v.set("version", 1).set("attention", toValue(settings)).set("summary", attentionSummary(records));
    v.set("calls", std::move(calls));
    const std::string text = toJson(v);
    return {text.begin(), text.end()};
}

} // namespace canopy::accel
