#include "core/job/qa_model_value.h"

#include <doctest/doctest.h>

#include <tuple>

using namespace canopy;

namespace {

/// Every field differs from its default.
QaModelRecord record() {
    QaModelRecord r;
    r.id = "llava-video-1234abcd";
    r.family = QaFamily::LlavaVideo;
    r.root = "/models/a";
    r.weightFiles = {"/models/a/1.safetensors", "/models/a/2.safetensors"};
    r.tokenizerFile = "/models/a/vocab.json";
    r.mergesFile = "/models/a/merges.txt";
    r.licenceFile = "/models/a/LICENSE";
    r.vision = {98, 7, 64, 4, 5, 100, 1e-5};
    r.language = {500, 96, 3, 6, 2, 16, 200, 5000, 1e-5, true, 4096};
    r.pooling = HostPooling::Average;
    r.newlines = HostNewlines::Grid;
    r.imageMean = {0.1, 0.2, 0.3};
    r.imageStd = {0.4, 0.5, 0.6};
    r.stopIds = {7, 9};
    r.defaults = {"Label", 12, 20, true, false, true, {"One?", "Two?"}};
    r.weightBytes = std::uint64_t{1} << 40;
    r.visionParameters = 11;
    r.languageParameters = 12;
    r.missing = {"Something."};
    return r;
}

/// Every member of a struct; does not compile once a member is added.
auto members(const SiglipConfig& v) {
    const auto& [imageSize, patch, width, heads, layers, mlpDim, eps] = v;
    return std::tuple(imageSize, patch, width, heads, layers, mlpDim, eps);
}
auto members(const Qwen2Config& q) {
    const auto& [vocabulary, width, layers, heads, kvHeads, headDim, mlpDim, theta, eps, tied, most] = q;
    return std::tuple(vocabulary, width, layers, heads, kvHeads, headDim, mlpDim, theta, eps, tied, most);
}
auto members(const QaDefaults& d) {
    const auto& [label, frames, framesMax, timeInstruction, forceFrames, starter, questions] = d;
    return std::tuple(label, frames, framesMax, timeInstruction, forceFrames, starter, questions);
}
auto members(const QaModelRecord& r) {
    const auto& [id, family, root, weights, tokenizer, merges, licence, vision, language, pooling, newlines,
                 mean, deviation, stops, defaults, bytes, visionParameters, languageParameters, missing] = r;
    return std::tuple(id, family, root, weights, tokenizer, merges, licence, members(vision),
                      members(language), pooling, newlines, mean, deviation, stops, members(defaults), bytes,
                      visionParameters, languageParameters, missing);
}

} // namespace

TEST_CASE("a question model's record survives the channel with every field") {
    const Value written = toValue(record());
    const auto read = qaModelRecordFromValue(written);
    REQUIRE_MESSAGE(read.ok(), read.error().message);
    CHECK((members(*read) == members(record())));
    // No key carries its default, so that a field that is not written shows above.
    const Value plain = toValue(QaModelRecord{});
    for (const auto& [key, value] : written.asMap())
        CHECK_MESSAGE(value != plain[key], key);
    for (const char* group : {"vision", "language", "defaults"})
        for (const auto& [key, value] : written[group].asMap())
            CHECK_MESSAGE(value != plain[group][key], key);
}

TEST_CASE("a question model's record is checked when it is read") {
    const auto refuses = [](Value value, const char* sentence) {
        const auto read = qaModelRecordFromValue(value);
        REQUIRE_MESSAGE(!read.ok(), sentence);
        CHECK_MESSAGE(read.error().message.find(sentence) != std::string::npos, read.error().message);
    };
    refuses(Value(3), "'record'");
    Value v = toValue(record());
    refuses(Value(v).set("family", "llava-next"), "'family'");
    refuses(Value(v).set("newlines", 3), "'newlines'");
    refuses(Value(v).set("stop_ids", "x"), "'stop_ids'");
    Value vision = v["vision"];
    refuses(Value(v).set("vision", vision.set("heads", "two")), "'vision.heads'");
    refuses(Value(v).set("vision", vision.set("heads", 3)), "num_attention_heads");
    Value language = v["language"];
    refuses(Value(v).set("language", language.set("vocabulary", std::int64_t{1} << 31)),
            "'language.vocabulary'");
    refuses(Value(v).set("stop_ids", Value(Value::Array{500})), "eos_token_id");
}
