// Records which blocks of keys the antidiagonal estimate chooses while a clip is made, for canopy-bench
// --masks.
//
//   record_masks MODEL OUT.safetensors [--size WxH] [--frames N] [--steps N] [--tau T] [--at STEP,LAYER ...]
//
// The clip itself is made with dense attention. Of the prompt's branch, one mask per named step and layer is
// kept: "bits" uint8 [masks, heads, blocks, ceil(blocks / 8)], lowest bit first, "step" and "layer" int32
// [masks]. Size, tau and prompt are in the metadata. With a card the clip is made there.
#include <c10/core/InferenceMode.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/full.h>

#include "accel/nn/attention.h"
#include "accel/ops/block_score.h"
#include "accel/pipelines/generate_video.h"
#include "accel/runtime/cuda_loader.h"
#include "accel/runtime/device.h"
#include "core/formats/model_scan.h"
#include "core/formats/safetensors.h"
#include "core/job/settings_schema.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

class MaskRecorder final : public AttentionPolicy {
public:
    MaskRecorder(std::vector<std::pair<int, int>> places, double tau)
        : m_places(std::move(places))
        , m_tau(tau) {}

    at::Tensor attend(const AttentionCall& call) override {
        for (const auto& [step, layer] : m_places)
            if (call.branch == Branch::Prompt && call.step == step && call.layer == layer)
                record(call);
        return denseAttention(call);
    }

    std::vector<std::uint8_t> bits;
    std::vector<std::int32_t> steps, layers;
    std::int64_t heads = 0, tokens = 0, blocks = 0;

private:
    void record(const AttentionCall& call) {
        heads = call.q.size(2);
        tokens = call.q.size(1);
        blocks = (tokens + 127) / 128;
        ops::BlockScoreOptions options;
        options.keepsFirst = false;
        options.tau = at::full({heads}, m_tau, call.q.options().dtype(at::kFloat));
        const auto choice = ops::chooseBlocks(call.q, call.k, options);
        const std::int64_t rowBytes = (blocks + 7) / 8, rows = heads * blocks;
        const std::size_t first = bits.size();
        bits.resize(first + static_cast<std::size_t>(rows * rowBytes));
        const auto mark = [&](std::int64_t row, std::int64_t block) {
            bits[first + static_cast<std::size_t>(row * rowBytes + block / 8)] |=
                static_cast<std::uint8_t>(1 << (block % 8));
        };
        double chosen = 0;
        if (const auto& lists = choice.lists.cardLists) {
            const at::Tensor starts = lists->starts.cpu(), counts = lists->counts.cpu(),
                             ids = lists->ids.cpu();
            const auto* id = static_cast<const std::uint16_t*>(ids.const_data_ptr());
            for (std::int64_t row = 0; row < rows; ++row) {
                const auto* list = id + starts.const_data_ptr<std::int32_t>()[row];
                for (std::int32_t i = 0; i < counts.const_data_ptr<std::int32_t>()[row]; ++i, ++chosen)
                    mark(row, list[i]);
            }
        } else {
            const auto* offset = choice.lists.keyBlockOffsets.const_data_ptr<std::int64_t>();
            const auto* id = choice.lists.keyBlockIds.const_data_ptr<std::int32_t>();
            for (std::int64_t row = 0; row < rows; ++row)
                for (std::int64_t i = offset[row]; i < offset[row + 1]; ++i, ++chosen)
                    mark(row, id[i]);
        }
        steps.push_back(call.step);
        layers.push_back(call.layer);
        std::printf("step %d, layer %d: %lld heads, %lld blocks, %.3f of them chosen\n", call.step,
                    call.layer, static_cast<long long>(heads), static_cast<long long>(blocks),
                    chosen / static_cast<double>(rows * blocks));
    }

    std::vector<std::pair<int, int>> m_places;
    double m_tau;
};

class Silent final : public JobObserver {
public:
    bool wants(std::string_view) const override { return false; }
    void resolved(const GenerationRequest&, const MemoryPlan&) override {}
    void stage(std::string_view, int, int) override {}
    void block(int, int) override {}
    void timing(std::string_view, int, double) override {}
    void preview(int, int, int, int, std::vector<std::uint8_t>) override {}
    void latents(std::vector<std::uint8_t>) override {}
    void frame(int, int, int, int, std::vector<std::uint8_t>) override {}
};

template <typename T>
std::span<const std::uint8_t> bytesOf(const std::vector<T>& values) {
    return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)};
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app{"Records the chosen blocks of one generation."};
    GenerationRequest request;
    request.prompt = "a red balloon rises slowly over the sea at sunset";
    request.seed = 7;
    std::string modelPath, out, size;
    double tau = 0.9;
    std::vector<std::string> placeTexts;
    app.add_option("model", modelPath)->required();
    app.add_option("out", out)->required();
    app.add_option("--size", size);
    app.add_option("--frames", request.frames);
    app.add_option("--steps", request.steps);
    app.add_option("--tau", tau)->check(CLI::Range(0.0, 1.0));
    app.add_option("--at", placeTexts, "STEP,LAYER, counted from 0")->required();
    CLI11_PARSE(app, argc, argv);
    if (!size.empty() && std::sscanf(size.c_str(), "%dx%d", &request.width, &request.height) != 2) {
        std::fprintf(stderr, "--size is \"%s\"; expected WIDTHxHEIGHT\n", size.c_str());
        return 2;
    }
    std::vector<std::pair<int, int>> places;
    for (const std::string& text : placeTexts) {
        int step = 0, layer = 0;
        if (std::sscanf(text.c_str(), "%d,%d", &step, &layer) != 2) {
            std::fprintf(stderr, "--at is \"%s\"; expected STEP,LAYER\n", text.c_str());
            return 2;
        }
        places.emplace_back(step, layer);
    }
    const auto model = scanModel(modelPath);
    if (!model) {
        std::fprintf(stderr, "%s\n", model.error().message.c_str());
        return 1;
    }
    auto card = loadCuda();
    const std::unique_ptr<Device> device = card ? std::move(*card) : makeCpuDevice();
    request.device = device->kind();
    request.precision = Precision::BFloat16;
    request = withModelDefaults(request, model->defaults);

    const c10::InferenceMode inference;
    MaskRecorder recorder(places, tau);
    LoadedModel loaded(*model, device->torchDevice(), at::kBFloat16);
    GenerationOptions options;
    options.hooks.attention = &recorder;
    Silent observer;
    generateVideo(loaded, request, options, observer, {});
    const auto masks = static_cast<std::uint64_t>(recorder.steps.size());
    if (masks == 0) {
        std::fprintf(stderr, "No named step and layer was met; expected steps below %d.\n", request.steps);
        return 1;
    }
    const auto blocks = static_cast<std::uint64_t>(recorder.blocks);
    const auto file =
        writeSafetensors({{"bits",
                           DType::U8,
                           {masks, static_cast<std::uint64_t>(recorder.heads), blocks, (blocks + 7) / 8},
                           bytesOf(recorder.bits)},
                          {"step", DType::I32, {masks}, bytesOf(recorder.steps)},
                          {"layer", DType::I32, {masks}, bytesOf(recorder.layers)}},
                         {{"model", model->id},
                          {"prompt", request.prompt},
                          {"size", std::to_string(request.width) + "x" + std::to_string(request.height)},
                          {"frames", std::to_string(request.frames)},
                          {"steps", std::to_string(request.steps)},
                          {"tokens", std::to_string(recorder.tokens)},
                          {"stride", "8"},
                          {"tau", std::to_string(tau)}});
    std::ofstream(out, std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
    return 0;
}
