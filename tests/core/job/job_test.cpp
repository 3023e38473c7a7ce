#include <doctest/doctest.h>

#include <algorithm>

#include "core/base/value_codec.h"
#include "core/job/generation_request.h"
#include "core/job/memory_plan.h"
#include "core/job/settings_schema.h"

using namespace canopy;

namespace {

ModelRecord starterModel() {
    ModelRecord model;
    model.family = ModelFamily::SkyReelsDf;
    model.dit.family = model.family;
    model.dit.heads = 6;
    model.dit.headDim = 64;
    model.dit.layers = 7;
    model.dit.ffnDim = 896;
    model.vae.baseDim = 16;
    model.text.modelDim = 256;
    model.text.ffnDim = 640;
    model.transformerParameters = 15'600'000;
    model.textParameters = 3'500'000;
    model.vaeParameters = 3'600'000;
    model.defaults.sizes = {{320, 192}};
    model.defaults.steps = 16;
    model.defaults.guidance = 4;
    model.defaults.framesDefault = 33;
    model.defaults.negativePrompt = "blurry";
    return model;
}

GenerationRequest goodRequest() {
    GenerationRequest r;
    r.prompt = std::string("a red boat on the sea");
    return withModelDefaults(r, starterModel().defaults);
}

bool mentions(const std::vector<std::string>& sentences, std::string_view part) {
    return std::any_of(sentences.begin(), sentences.end(),
                       [&](const std::string& s) { return s.find(part) != std::string::npos; });
}

} // namespace

TEST_CASE("a request survives the map, JSON and CBOR") {
    GenerationRequest r;
    r.prompt = std::string("un renard \xF0\x9F\xA6\x8A \"quoted\"\n");
    r.negativePrompt = std::string("-");
    r.modelId = "skyreels-df-1a2b3c4d";
    r.modelPath = "/m";
    r.imagePath = std::string("/i.png");
    r.width = 320;
    r.height = 192;
    r.frames = 33;
    r.fps = 24;
    r.steps = 7;
    r.guidance = 4.1;
    r.shift = 0.3;
    r.seed = (std::uint64_t{1} << 63) - 1;
    r.sampler = Sampler::Euler;
    r.timeGrid = TimeGrid::Original;
    r.precision = Precision::BFloat16;
    r.device = DeviceKind::Cuda;
    r.threads = 3;
    r.vaeTiling = true;
    r.memoryBudgetGb = 2.5;
    r.noiseScheme = std::string("frame-philox-1");
    r.kernelSet = "torch";
    r.resumeLatentsPath = "/l";
    const Value map = toValue(r);
    REQUIRE(generationRequestFromValue(map).ok());
    CHECK(*generationRequestFromValue(map) == r);
    CHECK(*generationRequestFromValue(*parseJson(toJson(map))) == r);
    CHECK(*generationRequestFromValue(*parseCbor(toCbor(map))) == r);
    r.resumeLatentsPath.clear();
    CHECK_FALSE(toValue(r).contains("resume_latents"));
}

TEST_CASE("wrong types, ranges and versions are refused, unknown keys are not") {
    const Value good = toValue(goodRequest());
    Value v = good;
    v.set("something_new", 1);
    CHECK(generationRequestFromValue(v).ok());
    for (const auto& [key, member] : good.asMap()) {
        if (key == "version")
            continue;
        CAPTURE(key);
        Value wrong = good;
        wrong.set(key, Value::Array{});
        REQUIRE_FALSE(generationRequestFromValue(wrong).ok());
        CHECK(generationRequestFromValue(wrong).error().message.find(key) != std::string::npos);
    }
    const std::pair<const char*, Value> cases[] = {{"width", 320.0},
                                                   {"seed", -1},
                                                   {"frames", std::int64_t{1} << 40},
                                                   {"sampler", "ddim"},
                                                   {"vae_tiling", 1}};
    for (const auto& [key, value] : cases) {
        CAPTURE(key);
        Value wrong = good;
        wrong.set(key, value);
        CHECK_FALSE(generationRequestFromValue(wrong).ok());
    }
    v.set("version", 99);
    REQUIRE_FALSE(generationRequestFromValue(v).ok());
    CHECK(generationRequestFromValue(v).error().code == ErrorCode::Unsupported);
    CHECK_FALSE(generationRequestFromValue(Value{}).ok());
    CHECK_FALSE(generationRequestFromValue(Value{Value::Map{}}).ok());
}

TEST_CASE("model defaults fill what was left open and nothing else") {
    const GenerationRequest r = goodRequest();
    CHECK(r.width == 320);
    CHECK(r.height == 192);
    CHECK(r.frames == 33);
    CHECK(r.steps == 16);
    CHECK(r.guidance == 4);
    CHECK(r.negativePrompt == "blurry");
    GenerationRequest own = r;
    own.steps = 3;
    own.guidance = 1;
    own.negativePrompt = std::string(" ");
    CHECK(withModelDefaults(own, starterModel().defaults) == own);
}

TEST_CASE("a good request has no problems, each bad one has its sentence") {
    const ModelRecord model = starterModel();
    CHECK(checkRequest(goodRequest(), model).empty());
    struct Case {
        void (*spoil)(GenerationRequest&);
        const char* says;
    };
    const Case cases[] = {
        {[](auto& r) { r.prompt = std::string(" \n"); }, "prompt is empty"},
        {[](auto& r) { r.prompt = std::string(65 * 1024, 'a'); }, "at most 65536"},
        {[](auto& r) { r.prompt = std::string("a\xC3"); }, "UTF-8"},
        {[](auto& r) { r.prompt = std::string("a\xC0\x80"); }, "UTF-8"},
        {[](auto& r) { r.prompt = std::string("a\xED\xA0\x80"); }, "UTF-8"},
        {[](auto& r) { r.negativePrompt = std::string("\xFF"); }, "Negative prompt is not valid"},
        {[](auto& r) { r.width = 321; }, "multiple of 16, such as 320"},
        {[](auto& r) { r.height = 8; }, "from 64 to 2304"},
        {[](auto& r) { r.frames = 32; }, "such as 33"},
        {[](auto& r) { r.frames = -3; }, "from 1 to 1025"},
        {[](auto& r) { r.fps = 0; }, "Frames per second"},
        {[](auto& r) { r.steps = 0; }, "Steps"},
        {[](auto& r) { r.guidance = 0.5; }, "Guidance"},
        {[](auto& r) { r.guidance = 31; }, "Guidance"},
        {[](auto& r) { r.shift = 0; }, "Shift"},
        {[](auto& r) { r.seed = ~std::uint64_t{0}; }, "9223372036854775807"},
        {[](auto& r) { r.threads = -1; }, "Threads"},
        {[](auto& r) { r.memoryBudgetGb = -2; }, "Memory limit"},
        {[](auto& r) { r.noiseScheme = std::string("x"); }, "noise scheme"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.says);
        GenerationRequest r = goodRequest();
        c.spoil(r);
        const auto problems = checkRequest(r, model);
        CHECK(problems.size() == 1);
        CHECK(mentions(problems, c.says));
    }
    GenerationRequest withImage = goodRequest();
    withImage.imagePath = "/a.png";
    CHECK(checkRequest(withImage, model).empty());
    ModelRecord textOnly = model;
    textOnly.family = ModelFamily::WanT2v;
    CHECK(mentions(checkRequest(withImage, textOnly), "from text only"));
    ModelRecord broken = model;
    broken.missing = {"The text encoder is missing."};
    CHECK(mentions(checkRequest(goodRequest(), broken), "text encoder is missing"));
    GenerationRequest nan = goodRequest();
    nan.guidance = std::numeric_limits<double>::quiet_NaN();
    CHECK(mentions(checkRequest(nan, model), "Guidance"));
}

TEST_CASE("the schema lists every key of the request once") {
    for (const SettingInfo& info : settingsSchema()) {
        CAPTURE(info.key);
        CHECK(toValue(GenerationRequest{}).contains(info.key));
        CHECK(std::count_if(settingsSchema().begin(), settingsSchema().end(),
                            [&](const SettingInfo& other) { return other.key == info.key; }) == 1);
        CHECK(info.label.back() != ':');
        CHECK(info.help.back() == '.');
    }
}

TEST_CASE("the memory plan grows with what is asked and names its largest stage") {
    const ModelRecord model = starterModel();
    const GenerationRequest r = goodRequest();
    const MemoryPlan plan = planMemory(model, r);
    REQUIRE(plan.largestStage(DeviceKind::Cpu) != nullptr);
    CHECK(plan.peakBytes(DeviceKind::Cpu) == plan.largestStage(DeviceKind::Cpu)->bytes(DeviceKind::Cpu));
    CHECK(plan.peakBytes(DeviceKind::Cuda) == 0);
    GenerationRequest larger = r;
    larger.width *= 2;
    CHECK(planMemory(model, larger).peakBytes(DeviceKind::Cpu) > plan.peakBytes(DeviceKind::Cpu));
}
