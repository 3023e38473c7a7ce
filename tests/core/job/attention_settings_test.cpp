#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/job/attention_settings.h"
#include "core/job/generation_request.h"

using namespace canopy;

namespace {

constexpr std::int64_t kTokens = 2160;
constexpr int kSteps = 20;

AttentionSettings filled(AttentionMethod method, MaskReuse reuse = MaskReuse::Off) {
    AttentionSettings s;
    s.method = method;
    s.reuse = reuse;
    return withAttentionDefaults(s, kTokens, kSteps);
}

/// The only sentence; empty when there is none, or several.
std::string sentence(const AttentionSettings& s) {
    const auto problems = checkAttention(s, kTokens, kSteps);
    return problems.size() == 1 ? problems.front() : std::string();
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("the default is dense attention, has no problem and adds nothing to a request") {
    CHECK(AttentionSettings{}.method == AttentionMethod::Dense);
    CHECK(withAttentionDefaults({}, kTokens, kSteps) == AttentionSettings{});
    CHECK(checkAttention({}, kTokens, kSteps).empty());
    CHECK(!toValue(GenerationRequest{}).contains("attention"));
}

TEST_CASE("clusters scale with the tokens up to the published counts") {
    const AttentionSettings small = filled(AttentionMethod::Svg2, MaskReuse::Tmr);
    CHECK(small.queryClusters == 17); // 2160 / 128
    CHECK(small.keyClusters == 68);   // 2160 / 32
    CHECK(small.delta == 8);
    CHECK(small.warmup == 2);
    AttentionSettings large;
    large.method = AttentionMethod::Svg2;
    large = withAttentionDefaults(large, 32'760, 50);
    CHECK(large.queryClusters == 300);
    CHECK(large.keyClusters == 1000);
    CHECK(large.warmup == 5);
    CHECK(filled(AttentionMethod::XAttention, MaskReuse::Tmr).delta == 30);
    AttentionSettings own = small;
    own.warmup = 0;
    own.delta = 0;
    CHECK(withAttentionDefaults(own, 32'760, 50) == own);
}

TEST_CASE("every method starts with its defaults; each bad value has its sentence") {
    for (const auto method : {AttentionMethod::XAttention, AttentionMethod::Svg2, AttentionMethod::TopK})
        for (const auto reuse : {MaskReuse::Off, MaskReuse::Tmr, MaskReuse::Freeze})
            CHECK(checkAttention(filled(method, reuse), kTokens, kSteps).empty());
    CHECK(checkAttention(filled(AttentionMethod::Window), kTokens, kSteps).empty());

    const double nan = std::numeric_limits<double>::quiet_NaN();
    AttentionSettings s = filled(AttentionMethod::Svg2);
    s.queryClusters = 0;
    CHECK(has(sentence(s), "0 clusters of queries"));
    s = filled(AttentionMethod::Svg2);
    s.keyClusters = 2161;
    CHECK(has(sentence(s), "2161 clusters of keys"));
    s = filled(AttentionMethod::Svg2);
    s.minimumShare = nan;
    CHECK(has(sentence(s), "least share"));
    for (const double tau : {0.0, -0.1, 1.1, nan}) {
        s = filled(AttentionMethod::XAttention);
        s.tau = tau;
        CHECK(has(sentence(s), "Tau is"));
    }
    s = filled(AttentionMethod::XAttention);
    s.stride = 4;
    CHECK(has(sentence(s), "stride"));
    s = filled(AttentionMethod::TopK);
    s.keep = 0;
    CHECK(has(sentence(s), "kept share"));
    s = filled(AttentionMethod::Window);
    s.windowFrames = -1;
    CHECK(has(sentence(s), "window is -1"));
    s = filled(AttentionMethod::XAttention);
    s.warmup = kSteps;
    CHECK(has(sentence(s), "20 of 20 steps"));
    s = filled(AttentionMethod::Dense);
    s.reuse = MaskReuse::Freeze;
    CHECK(has(sentence(s), "\"dense\" chooses nothing"));
    s = filled(AttentionMethod::XAttention, MaskReuse::Every);
    CHECK(has(sentence(s), "every 0 steps"));
    s = filled(AttentionMethod::XAttention, MaskReuse::Tmr);
    s.delta = nan;
    CHECK(has(sentence(s), "drift threshold"));
    s = filled(AttentionMethod::XAttention, MaskReuse::Tmr);
    s.gateLow = 0.9;
    CHECK(has(sentence(s), "gate is 0.9,0.8"));
    s = filled(AttentionMethod::XAttention, MaskReuse::Tmr);
    s.maxAge = -1;
    CHECK(has(sentence(s), "largest age"));
}

TEST_CASE("settings survive the request's map; unknown names and wrong types are refused") {
    GenerationRequest request;
    AttentionSettings& s = request.attention;
    s = {AttentionMethod::Svg2, 0.8, 8, 10, 20, 0.2, 0.4, 3, MaskReuse::Every, 4, 5, 0.1, 0.9, 6, true, 7};
    const auto back = generationRequestFromValue(toValue(request));
    REQUIRE(back.ok());
    CHECK(back->attention == s);
    Value map = toValue(s);
    map.set("method", "guess");
    CHECK(!attentionSettingsFromValue(map).ok());
    map = toValue(s);
    map.set("tau", "much");
    CHECK(!attentionSettingsFromValue(map).ok());
    Value outer = toValue(request);
    outer.set("attention", map);
    CHECK(!generationRequestFromValue(outer).ok());
}
