#include "core/job/answer.h"

#include "core/job/setting_reader.h"

namespace canopy {
namespace {

constexpr std::string_view kStops[] = {"end", "length"};

/// Each plain number once, for writing and reading.
template <typename Visitor, typename A>
void visitNumbers(Visitor&& v, A& a) {
    v("frames", a.frames), v("cells", a.cells), v("video_tokens", a.videoTokens);
    v("unpruned_tokens", a.unprunedTokens), v("prompt_tokens", a.promptTokens);
    v("features_cached", a.featuresCached);
    v("load_seconds", a.loadSeconds), v("vision_seconds", a.visionSeconds);
    v("project_seconds", a.projectSeconds), v("select_seconds", a.selectSeconds);
    v("prefill_seconds", a.prefillSeconds), v("first_word_seconds", a.firstWordSeconds);
    v("decode_seconds", a.decodeSeconds), v("decode_tokens_per_second", a.decodeTokensPerSecond);
    v("kv_bytes", a.kvBytes), v("planned_kv_bytes", a.plannedKvBytes), v("peak_bytes", a.peakBytes);
    v("planned_bytes", a.plannedBytes), v("prefill_flop", a.prefillFlop), v("vision_flop", a.visionFlop);
}

} // namespace

Value toValue(const Answer& answer) {
    Value v{Value::Map{}};
    v.set("request", toValue(answer.request)).set("text", answer.text);
    v.set("ids", Value::Array(answer.ids.begin(), answer.ids.end()));
    v.set("stop", kStops[static_cast<std::size_t>(answer.stop)]);
    v.set("letter_probabilities",
          Value::Array(answer.letterProbabilities.begin(), answer.letterProbabilities.end()));
    Value top{Value::Array{}};
    for (const auto& token : answer.top)
        top.push(Value{}.set("id", token.id).set("text", token.text).set("probability", token.probability));
    v.set("top", std::move(top));
    visitNumbers([&](std::string_view key, const auto& field) { v.set(key, Value(field)); }, answer);
    return v;
}

Result<Answer> answerFromValue(const Value& value) {
    Answer answer;
    auto request = askRequestFromValue(value["request"]);
    if (!request)
        return request.error();
    answer.request = std::move(*request);
    SettingReader reader(value);
    reader.read("text", answer.text);
    reader.read("ids", answer.ids);
    reader.read("stop", kStops, answer.stop);
    reader.read("letter_probabilities", answer.letterProbabilities);
    for (const Value& token : value["top"].asArray())
        answer.top.push_back({static_cast<std::int32_t>(token["id"].asInt()), token["text"].asString(),
                              token["probability"].asDouble()});
    visitNumbers([&](std::string_view key, auto& field) { reader.read(key, field); }, answer);
    if (!reader.problem().empty())
        return makeError(ErrorCode::Malformed, reader.problem());
    return answer;
}

} // namespace canopy
