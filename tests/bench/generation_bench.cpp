// Times one generation through the engine itself and prints a line of JSON: seconds by stage and step,
// measured peak and plan by stage. With --compare-cpu the same request runs on the CPU too and the distance
// of the results is printed.
//
//   generation_bench --model DIR [--device cuda] [--precision fp32] [--threads N] [--size WxH] [--frames N]
//   [--steps N]
//                    [--guidance G] [--prompt T] [--seed S] [--vae-tiling] [--runs N] [--compare-cpu]
//                    [--attention M] [--tau X] [--stride S] [--keep R] [--warmup N] [--reuse M] [--delta D]
//                    [--turns M[/REUSE] ...]
//
// --turns runs the same request with each of these ways of attention in turns, as often as --runs says.

#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "accel/engine/accel_engine.h"
#include "core/base/value_codec.h"
#include "core/formats/model_scan.h"

using namespace canopy;

namespace {

/// Keeps the frames, watches previews as the window does.
class Collector final : public accel::JobObserver {
public:
    bool wants(std::string_view topic) const override { return topic == "preview"; }
    void resolved(const GenerationRequest& request, const MemoryPlan& memory) override {
        plan = memory;
        device = request.device;
    }
    void stage(std::string_view, int, int) override {}
    void block(int, int) override {}
    void timing(std::string_view, int, double) override {}
    void preview(int, int, int, int, std::vector<std::uint8_t>) override {}
    void latents(std::vector<std::uint8_t>) override {}
    void frame(int, int, int, int, std::vector<std::uint8_t> rgb) override {
        frames.insert(frames.end(), rgb.begin(), rgb.end());
    }

    MemoryPlan plan;
    DeviceKind device = DeviceKind::Cpu;
    std::vector<std::uint8_t> frames;
};

Value report(const accel::JobSummary& summary, const Collector& collector) {
    Value out;
    out.set("device", deviceName(summary.request.device))
        .set("precision", precisionName(summary.request.precision));
    out.set("threads", summary.request.threads).set("kernels", summary.request.kernelSet);
    out.set("attention", attentionMethodName(summary.request.attention.method))
        .set("reuse", maskReuseName(summary.request.attention.reuse));
    out.set("size", std::to_string(summary.request.width) + "x" + std::to_string(summary.request.height));
    out.set("frames", summary.request.frames).set("steps", summary.request.steps);
    out.set("load_s", summary.loadSeconds).set("text_s", summary.textSeconds);
    out.set("denoise_s", summary.denoiseSeconds).set("decode_s", summary.decodeSeconds);
    Value steps;
    for (const double s : summary.stepSeconds)
        steps.push(s);
    out.set("step_s", std::move(steps));
    Value planned;
    for (const auto& stage : collector.plan.stages)
        planned.set(stage.name, stage.bytes(collector.device));
    Value measured;
    measured.set("text", summary.textPeakBytes).set("denoise", summary.denoisePeakBytes);
    measured.set("decode", summary.decodePeakBytes);
    std::uint64_t hash = 1469598103934665603ull; // FNV-1a: equal frames, equal number
    for (const auto byte : collector.frames)
        hash = (hash ^ byte) * 1099511628211ull;
    out.set("frames_hash", std::to_string(hash));
    out.set("planned_bytes", std::move(planned)).set("peak_bytes", std::move(measured));
    return out;
}

double psnr(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum == 0 ? 99 : 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.size()) / sum);
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Times one generation through the engine");
    GenerationRequest request;
    request.prompt = "a red balloon rises slowly over the sea at sunset";
    request.seed = 7;
    std::string modelPath, device = "cpu", precision = "auto", size;
    int runs = 1;
    bool compareCpu = false;
    app.add_option("--model", modelPath)->required();
    app.add_option("--device", device)->check(CLI::IsMember({"cpu", "cuda"}));
    app.add_option("--precision", precision)->check(CLI::IsMember({"auto", "fp32", "bf16"}));
    app.add_option("--threads", request.threads);
    app.add_option("--size", size);
    app.add_option("--frames", request.frames);
    app.add_option("--steps", request.steps);
    app.add_option("--guidance", request.guidance);
    app.add_option("--prompt", request.prompt);
    app.add_option("--seed", request.seed);
    app.add_flag("--vae-tiling", request.vaeTiling);
    std::string attention = "dense", reuse = "off";
    app.add_option("--attention", attention);
    app.add_option("--tau", request.attention.tau);
    app.add_option("--stride", request.attention.stride);
    app.add_option("--keep", request.attention.keep);
    app.add_option("--warmup", request.attention.warmup);
    app.add_option("--reuse", reuse);
    app.add_option("--delta", request.attention.delta);
    std::vector<std::string> turns;
    app.add_option("--turns", turns);
    app.add_option("--runs", runs);
    app.add_flag("--compare-cpu", compareCpu);
    CLI11_PARSE(app, argc, argv);
    request.device = device == "cuda" ? DeviceKind::Cuda : DeviceKind::Cpu;
    request.precision = precision == "fp32"   ? Precision::Float32
                        : precision == "bf16" ? Precision::BFloat16
                                              : Precision::Auto;
    if (!size.empty() && std::sscanf(size.c_str(), "%dx%d", &request.width, &request.height) != 2) {
        std::fprintf(stderr, "--size is \"%s\"; expected WIDTHxHEIGHT\n", size.c_str());
        return 2;
    }
    const auto model = scanModel(modelPath);
    if (!model) {
        std::fprintf(stderr, "%s\n", model.error().message.c_str());
        return 1;
    }
    request.modelId = model->id;
    if (turns.empty())
        turns = {attention + "/" + reuse};
    std::vector<GenerationRequest> jobs;
    for (const std::string& turn : turns) {
        const auto slash = turn.find('/');
        const auto method = attentionMethodFromName(turn.substr(0, slash));
        const auto reused = maskReuseFromName(slash == std::string::npos ? "off" : turn.substr(slash + 1));
        if (!method || !reused) {
            std::fprintf(stderr, "attention %s: no such way\n", turn.c_str());
            return 2;
        }
        jobs.push_back(request);
        jobs.back().attention.method = *method;
        jobs.back().attention.reuse = *reused;
    }
    const auto engine = accel::makeEngine();
    std::vector<std::uint8_t> frames;
    const auto run = [&](GenerationRequest job) {
        Collector collector;
        const auto summary = engine->generate(job, *model, collector, {});
        if (!summary) {
            std::fprintf(stderr, "%s\n", summary.error().message.c_str());
            return false;
        }
        std::printf("%s\n", toJson(report(*summary, collector)).c_str());
        std::fflush(stdout);
        frames = std::move(collector.frames);
        return true;
    };
    for (int i = 0; i < runs; ++i)
        for (const GenerationRequest& job : jobs)
            if (!run(job))
                return 1;
    if (compareCpu) {
        const auto here = std::move(frames);
        auto onCpu = jobs.back();
        onCpu.device = DeviceKind::Cpu;
        if (!run(onCpu))
            return 1;
        if (here.size() != frames.size()) {
            std::fprintf(stderr, "the two runs made different numbers of pixels\n");
            return 1;
        }
        std::printf("{\"psnr_db_against_cpu\": %.2f}\n", psnr(here, frames));
    }
    return 0;
}
