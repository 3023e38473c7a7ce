// Calibration on the starter model: what one head's threshold does to the velocity, measured by forks and by
// whole passes; frequency bands; the one-pass profile; cancelled and resumed.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <numbers>
#include <tuple>

#include "accel/engine/accel_engine.h"
#include "accel/nn/attention.h"
#include "accel/ops/block_score.h"
#include "accel/pipelines/calibrate_attention.h"
#include "accel/pipelines/denoise.h"
#include "accel/pipelines/encode_prompt.h"
#include "accel/pipelines/generate_video.h"
#include "accel/pipelines/velocity_bands.h"
#include "accel/policies/attention/threshold_profile.h"
#include "accel/policies/attention_policies.h"
#include "core/formats/model_scan.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

class Listener final : public CalibrationObserver {
public:
    void resolved(const CalibrationRequest& request, const MemoryPlan&) override { job = request; }
    void stage(std::string_view name, int unit, int units) override {
        if (name == "calibrate") {
            done = unit;
            all = units;
        }
    }
    void measured(const HeadMeasurement& m) override {
        heads.push_back(m);
        if (stopAfter > 0 && static_cast<int>(heads.size()) == stopAfter)
            stop.request_stop();
    }
    CalibrationRequest job;
    std::vector<HeadMeasurement> heads;
    int done = 0, all = 0;
    int stopAfter = 0;
    std::stop_source stop;
};

ModelRecord starter() {
    const char* source = std::getenv("CANOPY_SOURCE_DIR");
    const auto model =
        scanModel(std::filesystem::path(source ? source : ".") / "resources/models/starter-video");
    REQUIRE_MESSAGE(model.ok(), model.error().message);
    return *model;
}

CalibrationRequest smallRequest(AttentionMethod method) {
    CalibrationRequest r;
    r.prompts = {"a red balloon rises over the sea", "two fish swim left"};
    r.clip.width = 256;
    r.clip.height = 128;
    r.clip.frames = 9;
    r.clip.steps = 3;
    r.clip.seed = 5;
    r.clip.precision = Precision::Float32;
    r.clip.attention.method = method;
    r.clip.attention.tau = 0.6;
    r.clip.attention.warmup = 1;
    r.grid = {0.4, 0.6, 1};
    return r;
}

using ByHead = std::map<std::tuple<int, int, int>, HeadMeasurement>;
ByHead byHead(const std::vector<HeadMeasurement>& heads) {
    ByHead map;
    for (const HeadMeasurement& m : heads)
        CHECK(map.emplace(std::tuple{m.layer, m.head, m.step}, m).second); // once each
    return map;
}

/// One head of one layer sparse, by a whole pass.
class OneSparseHead : public AttentionPolicy {
public:
    OneSparseHead(int layer, int head, const AttentionSettings& settings)
        : m_layer(layer)
        , m_head(head)
        , m_sparse(makeAttentionPolicy(settings)) {}
    at::Tensor attend(const AttentionCall& call) override {
        at::Tensor out = denseAttention(call);
        if (call.layer != m_layer)
            return out;
        AttentionCall alone = call;
        alone.q = call.q.narrow(2, m_head, 1);
        alone.k = call.k.narrow(2, m_head, 1);
        alone.v = call.v.narrow(2, m_head, 1);
        out = out.clone();
        out.narrow(2, m_head, 1).copy_(m_sparse->attend(alone));
        return out;
    }

private:
    int m_layer, m_head;
    std::unique_ptr<AttentionPolicy> m_sparse;
};

} // namespace

TEST_CASE("bands: each wave falls into its own, and all four together are the relative square error") {
    const at::Tensor dense =
        at::randn({3, 8, 12, 16}, at::detail::createCPUGenerator(3), at::TensorOptions(at::kFloat));
    const double total = dense.square().sum().item<double>();
    const auto wave = [](std::int64_t n, int cycles) {
        return (at::arange(n, at::kFloat) * (2 * std::numbers::pi * cycles / static_cast<double>(n))).cos();
    };
    struct Case {
        int t, y, x, band;
    };
    // Low: fewer than a quarter cycle a sample, that is under 2 of 8, 3 of 12 and 4 of 16.
    for (const Case c : {Case{0, 0, 0, 0}, Case{1, 2, 3, 0}, Case{1, 3, 0, 1}, Case{0, 0, 4, 1},
                         Case{2, 0, 0, 2}, Case{4, 2, 3, 2}, Case{2, 3, 0, 3}, Case{3, 1, 8, 3}}) {
        const at::Tensor error = at::zeros_like(dense);
        error[1].copy_(wave(8, c.t).view({8, 1, 1}) * wave(12, c.y).view({1, 12, 1}) *
                       wave(16, c.x).view({1, 1, 16}));
        const auto bands = bandErrors(dense + error, dense);
        const double share = error.square().sum().item<double>() / total;
        for (int q = 0; q < kErrorBands; ++q)
            CHECK(bands[static_cast<std::size_t>(q)] ==
                  doctest::Approx(q == c.band ? share : 0).epsilon(1e-3));
    }
    const at::Tensor other =
        at::randn({3, 8, 12, 16}, at::detail::createCPUGenerator(4), at::TensorOptions(at::kFloat));
    const auto bands = bandErrors(other, dense);
    CHECK(bands[0] + bands[1] + bands[2] + bands[3] ==
          doctest::Approx((other - dense).square().sum().item<double>() / total).epsilon(1e-5));
}

TEST_CASE("a fork from the cached residual gives the error of a whole pass with one head sparse") {
    const c10::InferenceMode inference;
    const auto model = starter();
    for (const auto method : {AttentionMethod::XAttention, AttentionMethod::Svg2}) {
        CAPTURE(attentionMethodName(method));
        const auto request = withModelDefaults(smallRequest(method), model.defaults);
        REQUIRE(checkCalibration(request, model).empty());
        LoadedModel loaded(model, at::kCPU, at::kFloat);
        Listener listener;
        calibrateAttention(loaded, request, {}, listener, {});
        CHECK(listener.done == listener.all);
        const auto measured = byHead(listener.heads);
        const auto samples = calibrationSamples(model.dit.layers, model.dit.heads, 2, 3, 1, 5);

        const WanDit& dit = loaded.transformer({});
        for (const auto& [layer, head] : {std::pair{0, 1}, std::pair{3, 4}, std::pair{6, 5}}) {
            CAPTURE(layer);
            const HeadSample& sample =
                samples[static_cast<std::size_t>(layer)][static_cast<std::size_t>(head)];
            for (const int step : sample.steps) {
                // The dense run up to the step, then the velocity with and without the sparse head.
                Conditioning conditioning;
                conditioning.prompt = dit.embedText(
                    encodePrompt(loaded, request.prompts[static_cast<std::size_t>(sample.prompt)], {}));
                conditioning.negative = dit.embedText(encodePrompt(loaded, request.clip.negativePrompt, {}));
                conditioning.guidance = request.clip.guidance;
                conditioning.fpsIndex = fpsIndexOf(request.clip, model.defaults);
                auto plan = synchronousPlan(request.clip.sampler, scheduleOf(request.clip), 3);
                const auto time = at::tensor(std::vector<float>{static_cast<float>(
                                                 plan.schedule.timesteps[static_cast<std::size_t>(step)])},
                                             at::kFloat);
                plan.rows.resize(static_cast<std::size_t>(step));
                auto state = startState(plan, initialNoise(5, 16, 3, 16, 32));
                denoise(dit, conditioning, plan, state, {}, {}, {});
                ForwardContext context;
                context.step = step;
                context.grid = dit.grid(state.latents);
                const auto velocity = [&](AttentionPolicy* policy) {
                    context.attention = policy;
                    return dit.velocity(state.latents, time, conditioning.prompt, conditioning.fpsIndex,
                                        context);
                };
                const at::Tensor dense = velocity(nullptr);
                const HeadMeasurement& m = measured.at({layer, head, step});
                REQUIRE(m.bandError.size() == 3);
                for (std::size_t k = 0; k < 3; ++k) {
                    AttentionSettings settings = request.clip.attention;
                    settings.tau = request.grid[k];
                    settings.warmup = 0;
                    OneSparseHead policy(layer, head, settings);
                    const auto expected = bandErrors(velocity(&policy), dense);
                    for (std::size_t q = 0; q < kErrorBands; ++q)
                        CHECK(m.bandError[k][q] == doctest::Approx(expected[q]).epsilon(1e-3).scale(1e-6));
                }
                CHECK(m.sparsity[0] >= m.sparsity[1]);
                CHECK(m.sparsity[2] == doctest::Approx(0));
            }
        }
        double savings = 0;
        for (const HeadMeasurement& m : listener.heads) {
            savings += m.sparsity[0];
            CHECK(m.bandError[2][0] < 1e-9); // everything kept
        }
        CHECK(savings > 1);
    }
}

TEST_CASE("cancelled and resumed, a calibration measures the same heads with the same bits") {
    const auto model = starter();
    const auto engine = makeEngine();
    const auto request = smallRequest(AttentionMethod::XAttention);
    Listener whole;
    const auto resolved = engine->calibrate(request, model, whole, {});
    REQUIRE_MESSAGE(resolved.ok(), resolved.error().message);
    CHECK(whole.heads.size() == static_cast<std::size_t>(model.dit.layers * model.dit.heads * 2));

    Listener first;
    first.stopAfter = 20;
    const auto stopped = engine->calibrate(request, model, first, first.stop.get_token());
    REQUIRE(!stopped.ok());
    CHECK(stopped.error().code == ErrorCode::Cancelled);
    CHECK(first.heads.size() == 20);
    CalibrationRequest rest = request;
    for (const HeadMeasurement& m : first.heads)
        rest.measured.insert(rest.measured.end(), {m.layer, m.head, m.step});
    Listener second;
    REQUIRE(engine->calibrate(rest, model, second, {}).ok());
    CHECK(second.all < whole.all);
    auto parts = byHead(first.heads);
    for (const HeadMeasurement& m : second.heads)
        CHECK(parts.emplace(std::tuple{m.layer, m.head, m.step}, m).second);
    CHECK((parts == byHead(whole.heads)));
}

TEST_CASE("the profile is the estimated mass of the blocks that hold most of the true mass") {
    const auto generator = at::detail::createCPUGenerator(9);
    AttentionCall call;
    call.grid = {1, 1, 500, 0};
    call.q = at::randn({1, 500, 2, 64}, generator, at::TensorOptions(at::kFloat));
    call.k = at::randn({1, 500, 2, 64}, generator, at::TensorOptions(at::kFloat)) +
             call.q.roll(128, 1); // attention is strongest one block away
    call.v = call.q;
    for (const std::int64_t head : {0, 1}) {
        ops::BlockScoreOptions options;
        options.stride = 16;
        options.tau = at::tensor(std::vector<float>{1}, at::kFloat);
        options.wantsWeights = true;
        const at::Tensor estimate =
            ops::chooseBlocks(call.q.narrow(2, head, 1), call.k.narrow(2, head, 1), options).weights[0][0];
        const at::Tensor shares =
            (call.q[0].select(1, head).matmul(call.k[0].select(1, head).t()) / 8.0).softmax(1);
        double expected = 0;
        for (int row = 0; row < 4; ++row) {
            std::vector<std::pair<double, double>> blocks; // true mass, estimate
            double all = 0, held = 0;
            for (int j = 0; j < 4; ++j) {
                blocks.emplace_back(shares.slice(0, row * 128, std::min(500, row * 128 + 128))
                                        .slice(1, j * 128, std::min(500, j * 128 + 128))
                                        .sum()
                                        .item<double>(),
                                    estimate[row][j].item<double>());
                all += blocks.back().first;
            }
            std::sort(blocks.rbegin(), blocks.rend());
            double lowest = 1e9;
            for (const auto& [mass, weight] : blocks) {
                if (held >= 0.9 * all)
                    break;
                held += mass;
                lowest = std::min(lowest, weight);
            }
            double above = 0, sum = 0;
            for (const auto& [mass, weight] : blocks) {
                sum += weight;
                above += weight >= lowest ? weight : 0;
            }
            expected += above / sum / 4;
        }
        CHECK(profiledThreshold(call, head, 16) == doctest::Approx(expected).epsilon(1e-4));
    }

    const auto model = starter();
    auto request = smallRequest(AttentionMethod::XAttention);
    request.procedure = CalibrationProcedure::Profile;
    Listener listener;
    REQUIRE(makeEngine()->calibrate(request, model, listener, {}).ok());
    CHECK(listener.heads.size() == static_cast<std::size_t>(model.dit.layers * model.dit.heads * 2));
    CHECK(listener.done == listener.all);
    for (const HeadMeasurement& m : listener.heads) {
        CHECK(m.profileTau > 0);
        CHECK(m.profileTau <= 1);
        CHECK(m.sparsity.size() == 1);
        CHECK(m.bandError.empty());
    }
}

TEST_CASE("a calibration that cannot be made is refused with a sentence before any work") {
    const auto model = starter();
    const auto engine = makeEngine();
    const auto refusal = [&](CalibrationRequest request) {
        Listener listener;
        const auto result = engine->calibrate(request, model, listener, {});
        REQUIRE(!result.ok());
        CHECK(result.error().code == ErrorCode::InvalidArgument);
        CHECK(listener.heads.empty());
        return result.error().message;
    };
    auto request = smallRequest(AttentionMethod::TopK);
    CHECK(refusal(request).find("no thresholds to calibrate") != std::string::npos);
    request = smallRequest(AttentionMethod::Svg2);
    request.procedure = CalibrationProcedure::Profile;
    CHECK(refusal(request).find("reads XAttention's estimate") != std::string::npos);
    request = smallRequest(AttentionMethod::Svg2);
    request.clip.attention.keyClusters = 0;
    CHECK(refusal(request).find("0 clusters of keys") != std::string::npos);
    request = smallRequest(AttentionMethod::XAttention);
    request.prompts.clear();
    CHECK(refusal(request).find("no prompt to measure on") != std::string::npos);
    request = smallRequest(AttentionMethod::XAttention);
    request.clip.attention.tau = 0.5;
    CHECK(refusal(request).find("not among the candidates") != std::string::npos);
    request.grid = {0.6, 0.4};
    CHECK(refusal(request).find("not rising numbers") != std::string::npos);
}
