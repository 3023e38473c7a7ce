// The file of calibrated thresholds: what is written is read, what is damaged or does not fit is refused.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/job/attention_calibration.h"

using namespace canopy;

namespace {

AttentionCalibration sampleCalibration(CalibrationProcedure procedure = CalibrationProcedure::Error) {
    AttentionCalibration c;
    c.modelId = "skyreels-df-0123abcd";
    c.modelLabel = "A model";
    c.host.method = AttentionMethod::XAttention;
    c.host = withAttentionDefaults(c.host, 2160, 16);
    c.width = 320;
    c.height = 192;
    c.frames = 33;
    c.tokens = 2160;
    c.steps = 16;
    c.shift = 5;
    c.guidance = 4;
    c.seed = 7;
    c.prompts = 3;
    c.promptsHash = "123";
    c.procedure = procedure;
    c.paper = PaperVersion::V1;
    if (procedure == CalibrationProcedure::Error)
        c.grid = {0.85, 0.9, 0.95};
    c.budget = 0.5;
    c.lambda = 0.01;
    for (int layer = 0; layer < 2; ++layer) {
        c.heads.emplace_back();
        for (int h = 0; h < 3; ++h) {
            CalibratedHead head;
            head.sample = {h, {2, 5, 9, 13}};
            if (procedure == CalibrationProcedure::Error) {
                head.tau = c.grid[static_cast<std::size_t>((layer + h) % 3)];
                for (int k = 0; k < 3; ++k)
                    head.candidates.push_back({0.7 - 0.1 * k, 0.03 / (k + 1), {0.02, 0.01, 0.001, 0.5}});
            } else {
                head.tau = 0.8 + 0.01 * h;
                head.candidates.push_back({0.6, 0, {}});
            }
            c.heads.back().push_back(head);
        }
    }
    return c;
}

std::string refusal(const Value& value) {
    const auto read = attentionCalibrationFromValue(value);
    return read ? std::string() : read.error().message;
}

} // namespace

TEST_CASE("a calibration is read as it was written, from a file too") {
    for (const auto procedure : {CalibrationProcedure::Error, CalibrationProcedure::Profile}) {
        AttentionCalibration c = sampleCalibration(procedure);
        for (const bool checked : {false, true}) {
            if (checked) {
                c.realisedSparsity = 0.55;
                c.realisedSharedSparsity = 0.54;
                for (auto& layer : c.heads)
                    for (auto& head : layer)
                        head.realisedSparsity = 0.5;
            }
            const auto read = attentionCalibrationFromValue(toValue(c));
            REQUIRE_MESSAGE(read.ok(), read.error().message);
            CHECK(*read == c);
            const auto file = std::filesystem::temp_directory_path() /
                              ("calibration-" + std::to_string(::getpid()) + ".json");
            REQUIRE(writeAttentionCalibration(c, file).ok());
            const auto again = readAttentionCalibration(file);
            std::filesystem::remove(file);
            REQUIRE_MESSAGE(again.ok(), again.error().message);
            CHECK(*again == c);
        }
    }
    const AttentionCalibration c = sampleCalibration();
    CHECK(c.predictedSparsity(0, 1) == doctest::Approx(0.6));
    CHECK(c.predictedSparsity() == doctest::Approx((0.7 + 0.6 + 0.5 + 0.6 + 0.5 + 0.7) / 6));
    CHECK(c.thresholds()[1] == std::vector<double>{0.9, 0.95, 0.85});
}

TEST_CASE("every key that is missing or of another type is refused with a sentence that names it") {
    const Value whole = toValue(sampleCalibration());
    for (const auto& [key, member] : whole.asMap()) {
        CAPTURE(key);
        Value::Map less = whole.asMap();
        less.erase(key);
        CHECK(refusal(less).find(key == "version" ? "version" : "\"" + key + "\"") != std::string::npos);
        Value other = whole;
        other.set(key, Value(Value::Bytes{1}));
        CHECK(!refusal(other).empty());
    }
    CHECK(!refusal(Value(3)).empty());
}

TEST_CASE("numbers out of range and tables of other sizes are refused") {
    const Value whole = toValue(sampleCalibration());
    const auto with = [&](std::string_view key, const char* json) {
        Value v = whole;
        v.set(key, *parseJson(json));
        return refusal(v);
    };
    CHECK(with("tau", "[[0.85,0.9,0.95]]").find("not of the size") != std::string::npos);
    CHECK(with("tau", "[[0.85,0.9],[0.85,0.9,0.95]]").find("different numbers of heads") !=
          std::string::npos);
    CHECK(with("tau", "[[0.85,0.9,0.95],[0.85,0.91,0.95]]").find("layer 2, head 2 (0.91)") !=
          std::string::npos);
    CHECK(with("tau", "[[0.85,0.9,0.95],[0.85,1.5,0.95]]").find("no share") != std::string::npos);
    CHECK(with("tau", "[]").find("empty") != std::string::npos);
    CHECK(with("grid", "[0.85,0.9]").find("one entry for each candidate") != std::string::npos);
    CHECK(with("weights", "[1,2]").find("instead of 4") != std::string::npos);
    CHECK(with("paper", "\"v3\"").find("\"v3\"") != std::string::npos);
    CHECK(with("prompts", "2").find("not among the 2") != std::string::npos);
    CHECK(with("steps", "9").find("a step that the clip has not") != std::string::npos);
    CHECK(with("version", "2").find("newer Canopy") != std::string::npos);
    Value host = whole["host"];
    host.set("method", "topk");
    Value v = whole;
    CHECK(refusal(v.set("host", host)).find("no thresholds") != std::string::npos);
}

TEST_CASE("damaged files: half a file, no file, another format; the sentence ends with the name") {
    const auto file =
        std::filesystem::temp_directory_path() / ("calibration-bad-" + std::to_string(::getpid()) + ".json");
    const std::string text = toJson(toValue(sampleCalibration()));
    for (const std::string& bad :
         {text.substr(0, text.size() / 2), std::string("[]"), std::string("\xff\xfe")}) {
        REQUIRE(writeFileAtomically(file, bad).ok());
        const auto read = readAttentionCalibration(file);
        REQUIRE(!read.ok());
        CHECK(read.error().message.ends_with(file.string()));
    }
    std::filesystem::remove(file);
    CHECK(!readAttentionCalibration(file).ok());
}

TEST_CASE("thresholds of another model, size or host are refused, each with its own sentence") {
    const AttentionCalibration c = sampleCalibration();
    const CalibrationUse use{c.modelId, 2, 3, c.tokens};
    CHECK(calibrationProblems(c, c.host, use).empty());
    AttentionSettings reusing = c.host;
    reusing.reuse = MaskReuse::Tmr;
    reusing.delta = 3;
    reusing.tau = 0.5;
    CHECK(calibrationProblems(c, reusing, use).empty());
    const auto first = [&](const AttentionSettings& s, const CalibrationUse& u) {
        const auto problems = calibrationProblems(c, s, u);
        REQUIRE(problems.size() == 1);
        return problems.front();
    };
    CHECK(first(c.host, {"other", 2, 3, c.tokens}).find("made for the model skyreels") != std::string::npos);
    CHECK(first(c.host, {c.modelId, 3, 3, c.tokens}).find("2 layers of 3 heads") != std::string::npos);
    CHECK(first(c.host, {c.modelId, 2, 3, 500}).find("320x192 and 33 frames") != std::string::npos);
    AttentionSettings stride = c.host;
    stride.stride = 8;
    CHECK(first(stride, use).find("stride 16") != std::string::npos);
    AttentionSettings svg2;
    svg2.method = AttentionMethod::Svg2;
    CHECK(first(withAttentionDefaults(svg2, 2160, 16), use).find("the attention xattention") !=
          std::string::npos);
}

TEST_CASE("thresholds per head are part of the settings, and out of range they are refused") {
    AttentionSettings s = sampleCalibration().host;
    s.headTau = sampleCalibration().thresholds();
    const auto read = attentionSettingsFromValue(toValue(s));
    REQUIRE(read.ok());
    CHECK(*read == s);
    CHECK(checkAttention(s, 2160, 16).empty());
    s.headTau[1][2] = 0;
    CHECK(checkAttention(s, 2160, 16).size() == 1);
    s.headTau[1][2] = 0.9;
    s.method = AttentionMethod::TopK;
    CHECK(checkAttention(s, 2160, 16).front().find("does not read") != std::string::npos);
    Value v = toValue(s);
    v.set("head_tau", *parseJson("[[0.9],[\"a\"]]"));
    CHECK(!attentionSettingsFromValue(v).ok());
}
