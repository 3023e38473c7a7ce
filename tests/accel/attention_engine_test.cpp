// Sparse attention through the whole engine on the starter model, as a request asks for it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "accel/engine/accel_engine.h"
#include "core/base/value_codec.h"
#include "core/formats/model_scan.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

constexpr int kWatchedLayer = 2;

class Listener final : public JobObserver {
public:
    explicit Listener(bool wantsStats = false)
        : m_wantsStats(wantsStats) {}
    bool wants(std::string_view topic) const override {
        return m_wantsStats &&
               (topic == "attention_stats" || topic == "attention" || topic == maskTopic(kWatchedLayer));
    }
    void attentionStep(const AttentionStep& step) override { steps.push_back(step); }
    void attentionMasks(const std::vector<BlockBitmap>& some) override {
        masks.insert(masks.end(), some.begin(), some.end());
    }
    void resolved(const GenerationRequest& request, const MemoryPlan&) override { job = request; }
    void stage(std::string_view, int, int) override {}
    void block(int, int) override {}
    void timing(std::string_view, int, double) override {}
    void preview(int, int, int, int, std::vector<std::uint8_t>) override {}
    void attentionStats(std::vector<std::uint8_t> json) override { stats.assign(json.begin(), json.end()); }
    void latents(std::vector<std::uint8_t> file) override { latentsFile = std::move(file); }
    void frame(int, int, int, int, std::vector<std::uint8_t> rgb) override {
        pixels.insert(pixels.end(), rgb.begin(), rgb.end());
    }
    GenerationRequest job;
    std::string stats;
    std::vector<AttentionStep> steps;
    std::vector<BlockBitmap> masks;
    std::vector<std::uint8_t> pixels, latentsFile;

private:
    bool m_wantsStats;
};

ModelRecord starter() {
    const char* source = std::getenv("CANOPY_SOURCE_DIR");
    const auto model =
        scanModel(std::filesystem::path(source ? source : ".") / "resources/models/starter-video");
    REQUIRE_MESSAGE(model.ok(), model.error().message);
    return *model;
}

GenerationRequest requestFor(const ModelRecord& model, AttentionMethod method) {
    GenerationRequest request;
    request.prompt = "a red balloon rises slowly over the sea at sunset";
    request.modelId = model.id;
    request.seed = 7;
    request.width = 256;
    request.height = 128;
    request.frames = 9;
    request.steps = 3;
    request.precision = Precision::Float32;
    request.attention.method = method;
    request.attention.warmup = 1;
    return request;
}

/// Share of pairs of query and key in a mask over blocks of 128 tokens.
double keptPairs(const BlockBitmap& mask, std::int64_t tokens) {
    const auto inBlock = [&](int b) { return double(std::min<std::int64_t>(128, tokens - b * 128)); };
    double pairs = 0;
    for (int q = 0; q < mask.blocks; ++q)
        for (int k = 0; k < mask.blocks; ++k)
            pairs += mask.kept(q, k) ? inBlock(q) * inBlock(k) : 0;
    return pairs / double(tokens) / double(tokens);
}

int largestDifference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
    REQUIRE(a.size() == b.size());
    int worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(a[i] - b[i]));
    return worst;
}

} // namespace

TEST_CASE("everything kept gives the dense clip, less gives another, and statistics change no bit") {
    const auto engine = makeEngine();
    const auto model = starter();
    Listener dense(true);
    auto denseRequest = requestFor(model, AttentionMethod::Dense);
    denseRequest.attention = {};
    REQUIRE(engine->generate(denseRequest, model, dense, {}).ok());
    CHECK(dense.stats.empty());
    for (const auto method : {AttentionMethod::XAttention, AttentionMethod::Svg2, AttentionMethod::TopK}) {
        CAPTURE(attentionMethodName(method));
        auto request = requestFor(model, method);
        request.attention.tau = 1;
        request.attention.keep = 1;
        Listener all;
        REQUIRE(engine->generate(request, model, all, {}).ok());
        CHECK(largestDifference(all.pixels, dense.pixels) <= 1);
        CHECK(all.stats.empty());

        request.attention.tau = 0.5;
        request.attention.keep = 0.3;
        request.attention.reuse = MaskReuse::Freeze;
        Listener quiet, watched(true);
        REQUIRE(engine->generate(request, model, quiet, {}).ok());
        REQUIRE(engine->generate(request, model, watched, {}).ok());
        CHECK(largestDifference(quiet.pixels, dense.pixels) > 1);
        CHECK(quiet.pixels == watched.pixels);
        CHECK(quiet.latentsFile == watched.latentsFile);

        const auto stats = parseJson(watched.stats);
        REQUIRE_MESSAGE(stats.ok(), watched.stats.substr(0, 200));
        const int layers = model.dit.layers, heads = model.dit.heads;
        CHECK((*stats)["calls"].asArray().size() == static_cast<std::size_t>(3 * 2 * layers));
        const Value& summary = (*stats)["summary"];
        CHECK(summary["dense_calls"].asInt() == 2 * layers);
        CHECK(summary["kept_share"].asDouble() > 0.05);
        CHECK(summary["kept_share"].asDouble() < 0.95);
        CHECK(summary["reused_share"].asDouble() == doctest::Approx(0.5)); // one of two sparse steps
        const Value& last = (*stats)["calls"].asArray().back();
        CHECK(last["step"].asInt() == 2);
        CHECK(last["branch"].asString() == "negative");
        CHECK(last["kept"].asArray().size() == static_cast<std::size_t>(heads));
        CHECK(last["reason"].asArray()[0].asString() == "reused");
        CHECK(last["chosen_at"].asArray()[0].asInt() == 1);

        REQUIRE(watched.steps.size() == 3);
        CHECK(watched.steps[1].calls.size() == static_cast<std::size_t>(2 * layers));
        CHECK(watched.steps[2].seconds > 0);
        CHECK(toJson(toValue(watched.steps[2].calls.back())) == toJson(last));
        if (method == AttentionMethod::Svg2) { // clusters, no blocks
            CHECK(watched.masks.empty());
            continue;
        }
        REQUIRE(watched.masks.size() == static_cast<std::size_t>(2 * 2 * heads)); // steps, branches
        for (const BlockBitmap& mask : watched.masks) {
            CHECK(mask.layer == kWatchedLayer);
            const auto& call = watched.steps[static_cast<std::size_t>(mask.step)].calls;
            const auto record = std::find_if(call.begin(), call.end(), [&](const AttentionRecord& r) {
                return r.layer == mask.layer && r.branch == mask.branch;
            });
            REQUIRE(record != call.end());
            CHECK(keptPairs(mask, videoTokens(request)) ==
                  doctest::Approx(record->heads[static_cast<std::size_t>(mask.head)].keptShare));
        }
    }
}

TEST_CASE("the engine refuses settings with sentences before any work") {
    const auto engine = makeEngine();
    const auto model = starter();
    auto request = requestFor(model, AttentionMethod::Svg2);
    request.attention.keyClusters = 0;
    Listener listener;
    const auto refused = engine->generate(request, model, listener, {});
    REQUIRE(!refused.ok());
    CHECK(refused.error().code == ErrorCode::InvalidArgument);
    CHECK(refused.error().message.find("0 clusters of keys") != std::string::npos);
}
