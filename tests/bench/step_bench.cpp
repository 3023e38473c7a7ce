// What a sparse step is worth through the program. Dense steps, steps that choose keys anew, steps that reuse
// the last choice, and the same with telemetry watched take turns in one sampling loop (guidance, both
// branches); then one loop as a person would run it, whose time is compared with the sum of its steps; then,
// on a card, the parts of one layer in turns, and what the model 1 / (1 - f + f (rho / eta + o)) makes of
// them. Prints one line of JSON at the end.
//
//   step_bench --model DIR [--device cuda] [--size WxH] [--frames N] [--rounds N] [--attention
//   topk|xattention]
//              [--keep R] [--tau X] [--stride S] [--loop STEPS] [--warmup N] [--refresh N]
//
// The prompt's embedding is random: what stands in it changes no time.
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "accel/nn/attention.h"
#include "accel/nn/rope.h"
#include "accel/ops/attention.h"
#include "accel/ops/mask_drift.h"
#include "accel/ops/norm_rope.h"
#include "accel/pipelines/denoise.h"
#include "accel/pipelines/generate_video.h"
#include "accel/pipelines/loaded_model.h"
#include "accel/policies/attention_policies.h"
#include "accel/runtime/block_pacer.h"
#include "accel/runtime/cuda_loader.h"
#include "accel/runtime/device.h"
#include "core/base/value_codec.h"
#include "core/formats/model_scan.h"
#include "core/job/memory_plan.h"
#include "core/job/settings_schema.h"
#include "tests/bench/canopy_bench/interleave.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

constexpr std::array kKinds{"dense", "anew", "reuse", "watched"};
constexpr int kKindCount = static_cast<int>(kKinds.size());

/// Step s runs as kind s modulo their number.
class InTurns final : public AttentionPolicy {
public:
    InTurns(const AttentionSettings& settings, Device& device) {
        AttentionSettings s = settings;
        s.warmup = 0;
        s.reuse = MaskReuse::Off;
        AttentionTelemetry telemetry; // of the round that warms up
        telemetry.wanted = [this] { return m_step < kKindCount; };
        telemetry.take = [this](const AttentionRecord& record) {
            for (const auto& head : record.heads) {
                m_kept += head.keptShare;
                ++m_heads;
            }
        };
        m_anew = makeAttentionPolicy(s, telemetry);
        s.reuse = MaskReuse::Tmr; // with the drift test, which never asks for a new choice
        s.delta = 1e30;
        m_reuse = makeAttentionPolicy(s);
        AttentionTelemetry watching; // as the window watches every clip
        watching.take = [](const AttentionRecord&) {};
        watching.synchronize = [&device] { device.synchronize(); };
        m_watched = makeAttentionPolicy(s, watching);
    }
    at::Tensor attend(const AttentionCall& call) override {
        m_step = call.step;
        const int kind = call.step % kKindCount;
        if (kind == 0)
            return denseAttention(call);
        return (kind == 1 ? m_anew : kind == 2 ? m_reuse : m_watched)->attend(call);
    }
    bool readsMeans(int step) const override { return step % kKindCount != 0; }
    /// Mean over heads, layers and branches.
    double keptShare() const { return m_heads > 0 ? m_kept / m_heads : 1; }

private:
    int m_step = 0, m_heads = 0;
    double m_kept = 0;
    std::unique_ptr<AttentionPolicy> m_anew, m_reuse, m_watched;
};

struct Spread {
    double median = 0, least = 0, most = 0;
    std::size_t count = 0;
};

Spread spreadOf(std::vector<double> values) {
    if (values.empty())
        return {};
    std::sort(values.begin(), values.end());
    return {values[values.size() / 2], values.front(), values.back(), values.size()};
}

Value toValue(const Spread& s) {
    Value v;
    v.set("median", s.median)
        .set("least", s.least)
        .set("most", s.most)
        .set("count", static_cast<int>(s.count));
    return v;
}

struct Bench {
    GenerationRequest request;
    Device& device;
    const WanDit& dit;
    Conditioning conditioning;
    at::Tensor noise;

    /// Seconds of every step.
    std::vector<double> loop(int steps, AttentionPolicy& policy) const {
        GenerationRequest r = request;
        r.steps = steps;
        const auto plan = synchronousPlan(r.sampler, scheduleOf(r), static_cast<int>(noise.size(1)));
        auto state = startState(plan, noise);
        BlockPacer pacer(device);
        std::vector<double> seconds;
        DenoiseEvents events;
        events.pace = [&pacer] { pacer.blockQueued(); };
        events.rowDone = [&seconds](int, int, double s) { seconds.push_back(s); };
        DenoiseHooks hooks;
        hooks.attention = &policy;
        denoise(dit, conditioning, plan, state, hooks, events, {});
        return seconds;
    }
};

Value timeSteps(const Bench& bench, int rounds, std::array<Spread, kKindCount>& kinds, double& kept) {
    InTurns policy(bench.request.attention, bench.device);
    bench.device.resetPeak();
    const auto seconds = bench.loop(kKindCount * (rounds + 1), policy);
    Value v;
    for (int kind = 0; kind < kKindCount; ++kind) {
        std::vector<double> own;
        for (std::size_t i = static_cast<std::size_t>(kKindCount + kind); i < seconds.size(); i += kKindCount)
            own.push_back(seconds[i]); // the first round warms up
        const Spread spread = spreadOf(own);
        kinds[static_cast<std::size_t>(kind)] = spread;
        std::printf("step, %-7s %8.4f s (%.4f to %.4f, %zu in turns)  x%.3f\n",
                    kKinds[static_cast<std::size_t>(kind)], spread.median, spread.least, spread.most,
                    spread.count, kinds[0].median / spread.median);
        v.set(kKinds[static_cast<std::size_t>(kind)], toValue(spread));
    }
    kept = policy.keptShare();
    v.set("peak_bytes", bench.device.memory().peakBytes).set("rho", kept);
    std::fflush(stdout);
    return v;
}

/// `warmup` dense steps, then a choice every `refresh` steps with the drift test in between.
Value timeLoop(const Bench& bench, int steps, int warmup, int refresh,
               const std::array<Spread, kKindCount>& kinds) {
    AttentionSettings s = bench.request.attention;
    s.warmup = warmup;
    s.reuse = MaskReuse::Tmr;
    s.delta = 1e30;
    s.maxAge = refresh;
    const auto policy = makeAttentionPolicy(s);
    const auto seconds = bench.loop(steps, *policy);
    double measured = 0;
    for (const double one : seconds)
        measured += one;
    int anew = 0;
    for (int step = warmup; step < steps; ++step)
        anew += (step - warmup) % refresh == 0;
    const int reuse = steps - warmup - anew;
    const auto sum = [&](double Spread::*of) {
        return warmup * kinds[0].*of + anew * kinds[1].*of + reuse * kinds[2].*of;
    };
    const double predicted = sum(&Spread::median), dense = steps * kinds[0].median;
    std::printf("loop of %d steps: %.2f s measured, %.2f s (%.2f to %.2f) as %d dense + %d anew + %d reuse, "
                "%+.2f %%; all dense %.2f s, x%.3f\n",
                steps, measured, predicted, sum(&Spread::least), sum(&Spread::most), warmup, anew, reuse,
                100 * (measured / predicted - 1), dense, dense / measured);
    std::fflush(stdout);
    Value v;
    v.set("steps", steps).set("dense", warmup).set("anew", anew).set("reuse", reuse);
    v.set("measured_s", measured).set("sum_s", predicted).set("least_s", sum(&Spread::least));
    v.set("most_s", sum(&Spread::most)).set("all_dense_s", dense).set("first_step_s", seconds.front());
    return v;
}

/// One layer's parts on random queries and keys of the model's size, by events in turns.
Value timeParts(const Bench& bench, const DitConfig& config, const TokenGrid& grid, int rounds,
                const std::array<Spread, kKindCount>& kinds, double rho) {
    const auto place = at::TensorOptions(at::kBFloat16).device(bench.device.torchDevice());
    const std::int64_t tokens = grid.tokens(), heads = config.heads, depth = config.headDim;
    const at::Tensor fused = at::randn({1, tokens, 3, heads, depth}, place);
    const at::Tensor gain = at::randn({heads * depth}, place.dtype(at::kFloat));
    const RopeTable rope = makeRopeTable(grid, static_cast<int>(depth), bench.device.torchDevice());
    const auto q = ops::normRopeWithMean(fused.select(2, 0), gain, rope.cos, rope.sin, 1e-6);
    const auto k = ops::normRopeWithMean(fused.select(2, 1), gain, rope.cos, rope.sin, 1e-6);
    const at::Tensor v = fused.select(2, 2);
    AttentionSettings s = bench.request.attention;
    const auto host = makeSparseHost(s);
    AttentionCall call;
    call.grid = grid;
    call.q = q.out;
    call.k = k.out;
    call.v = v;
    std::vector<std::int64_t> all;
    for (std::int64_t h = 0; h < heads; ++h)
        all.push_back(h);
    std::unique_ptr<SparseMask> mask;
    host->choose(call, all, mask);
    double kept = 0;
    for (const double share : host->keptShare(*mask))
        kept += share / static_cast<double>(heads);

    const ops::PooledMeans means{q.mean, k.mean};
    ops::DriftAnchor anchor{{q.mean + 1.0, k.mean + 1.0},
                            at::tensor(std::vector<int>(static_cast<std::size_t>(heads), 0), at::kInt)
                                .to(bench.device.torchDevice())};
    const ops::RefreshRule rule{1e30, 0.4, 0.8, false, 0};
    const auto timings = bench::interleave(
        {{"attention, dense", "", 0, [&] { ops::attention(call.q, call.k, call.v); }},
         {"attention, lists", "", 0, [&] { host->attend(call, *mask); }},
         {"choice", "", 0, [&] { host->choose(call, all, mask); }},
         {"norm and rotation of q", "", 0,
          [&] { ops::normRope(fused.select(2, 0), gain, rope.cos, rope.sin, 1e-6); }},
         {"the same with its mean", "", 0,
          [&] { ops::normRopeWithMean(fused.select(2, 0), gain, rope.cos, rope.sin, 1e-6); }},
         {"drift and decision", "", 0, [&] { ops::refreshWhere(rule, 1, means, anchor); }},
         {"choice for no head", "", 0,
          [&] { host->chooseWhere(call, ops::refreshWhere(rule, 1, means, anchor), *mask); }}},
        2, rounds);
    Value parts;
    std::vector<double> ms;
    for (const auto& t : timings) {
        ms.push_back(t.median());
        std::printf("part, %-24s %9.4f ms (%.4f to %.4f)\n", t.name.c_str(), t.median(), t.least(), t.most());
        parts.set(t.name, t.median());
    }
    const double layers = 2.0 * config.layers;
    const double dense = kinds[0].median * 1000, layer = dense / layers;
    const double f = layers * ms[0] / dense, eta = ms[0] * kept / ms[1];
    const double drift = 2 * std::max(0.0, ms[4] - ms[3]) + ms[5], unasked = std::max(0.0, ms[6] - ms[5]);
    const auto speedUp = [&](double o) { return 1 / (1 - f + f * (rho / eta + o)); };
    const double oAnew = ms[2] / ms[0], oReuse = (drift + unasked) / ms[0];
    std::printf("rho %.4f in the program, %.4f here; eta %.3f, f %.3f, o anew %.4f, o reuse %.4f\n", rho,
                kept, eta, f, oAnew, oReuse);
    std::printf("model: anew x%.3f (measured x%.3f), reuse x%.3f (measured x%.3f)\n", speedUp(oAnew),
                dense / 1000 / kinds[1].median, speedUp(oReuse), dense / 1000 / kinds[2].median);
    std::printf("drift test %.4f ms: %.2f %% of a dense layer (%.2f ms), %.2f %% of a reusing one\n", drift,
                100 * drift / layer, layer, 100 * drift * layers / (1000 * kinds[2].median));
    parts.set("rho", rho)
        .set("rho_of_parts", kept)
        .set("eta", eta)
        .set("f", f)
        .set("o_anew", oAnew)
        .set("o_reuse", oReuse);
    parts.set("model_anew", speedUp(oAnew)).set("model_reuse", speedUp(oReuse)).set("drift_ms", drift);
    return parts;
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Times dense and sparse steps in turns");
    GenerationRequest request;
    request.attention.method = AttentionMethod::TopK;
    std::string modelPath, deviceText = "cuda", size, attention = "topk";
    int rounds = 5, loopSteps = 0, warmup = 5, refresh = 5;
    app.add_option("--model", modelPath)->required();
    app.add_option("--device", deviceText)->check(CLI::IsMember({"cpu", "cuda"}));
    app.add_option("--size", size);
    app.add_option("--frames", request.frames);
    app.add_option("--rounds", rounds)->check(CLI::Range(1, 100));
    app.add_option("--attention", attention)->check(CLI::IsMember({"topk", "xattention"}));
    app.add_option("--keep", request.attention.keep);
    app.add_option("--tau", request.attention.tau);
    app.add_option("--stride", request.attention.stride);
    app.add_option("--loop", loopSteps, "Steps of the whole loop; 0 = none");
    app.add_option("--warmup", warmup, "Its dense steps");
    app.add_option("--refresh", refresh, "Steps from one choice to the next")->check(CLI::Range(1, 1000));
    CLI11_PARSE(app, argc, argv);
    if (!size.empty() && std::sscanf(size.c_str(), "%dx%d", &request.width, &request.height) != 2) {
        std::fprintf(stderr, "--size is \"%s\"; expected WIDTHxHEIGHT\n", size.c_str());
        return 2;
    }
    request.attention.method = *attentionMethodFromName(attention);
    const auto model = scanModel(modelPath);
    if (!model) {
        std::fprintf(stderr, "%s\n", model.error().message.c_str());
        return 1;
    }
    std::unique_ptr<Device> device;
    if (deviceText == "cuda") {
        auto card = loadCuda();
        if (!card) {
            std::fprintf(stderr, "%s\n", card.error().message.c_str());
            return 1;
        }
        device = std::move(*card);
    } else {
        device = makeCpuDevice();
    }
    request.device = device->kind();
    request.precision = Precision::BFloat16;
    request.prompt = "random";
    request.modelId = model->id;
    request = withModelDefaults(request, model->defaults);
    const c10::InferenceMode inference;
    at::manual_seed(5);
    LoadedModel loaded(*model, device->torchDevice(), at::kBFloat16);
    const WanDit& dit = loaded.transformer({});
    const DitConfig& config = model->dit;
    const auto embedding = [&] {
        const at::Tensor text = at::randn({model->defaults.textLength, config.textDim}).to(at::kBFloat16);
        return dit.embedText(text.to(device->torchDevice()));
    };
    Bench bench{request, *device, dit, {}, {}};
    bench.conditioning.prompt = embedding();
    bench.conditioning.negative = embedding();
    bench.conditioning.guidance = request.guidance;
    bench.noise = initialNoise(7, config.inChannels, latentFrames(request.frames), request.height / 8,
                               request.width / 8)
                      .to(device->torchDevice());
    const TokenGrid grid = dit.grid(bench.noise);
    std::printf("%s on %s: %dx%d, %d frames, %lld tokens, %d layers, %s\n", model->id.c_str(),
                device->name().c_str(), request.width, request.height, request.frames,
                static_cast<long long>(grid.tokens()), config.layers, attention.c_str());

    Value report;
    std::array<Spread, kKindCount> kinds;
    report.set("tokens", static_cast<int>(grid.tokens())).set("attention", attention);
    double rho = 1;
    report.set("steps", timeSteps(bench, rounds, kinds, rho));
    const MemoryPlan plan = planMemory(*model, request);
    for (const MemoryStage& stage : plan.stages)
        if (stage.name == "denoise")
            report.set("planned_bytes_with_vae", stage.bytes(request.device));
    if (loopSteps > 0)
        report.set("loop", timeLoop(bench, loopSteps, warmup, refresh, kinds));
    if (device->kind() == DeviceKind::Cuda)
        report.set("parts", timeParts(bench, config, grid, std::max(rounds, 9), kinds, rho));
    std::printf("%s\n", toJson(report).c_str());
    return 0;
}
