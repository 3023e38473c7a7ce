// Rows of block-wise sampling through the engine: seconds a row by how many chunks it computes and reuses,
// the memory of keys, and the plan beside the measured peak of denoising. Stops after --rows rows, so that a
// long schedule needs not be run to its end. Prints one line of JSON at the end.
//
//   chunk_rows_bench --model DIR [--device cuda] [--size WxH] [--frames N] [--steps N] [--block-frames N]
//                    [--ar-step N] [--cache none|teacache|flowcache] [--threshold E | --hit-rate R]
//                    [--kv-budget CHUNKS] [--guidance G] [--rows N]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "accel/engine/accel_engine.h"
#include "accel/runtime/cuda_loader.h"
#include "accel/runtime/device.h"
#include "core/base/value_codec.h"
#include "core/formats/model_scan.h"

using namespace canopy;

namespace {

class RowCollector final : public accel::JobObserver {
public:
    RowCollector(accel::Device& device, int mostRows)
        : m_device(device)
        , m_mostRows(mostRows) {}

    bool wants(std::string_view topic) const override { return topic == "chunks"; }
    void resolved(const GenerationRequest& job, const MemoryPlan& memory) override {
        request = job;
        plan = memory;
    }
    void stage(std::string_view name, int unit, int) override {
        if (name == "denoise" && unit == 0)
            m_device.resetPeak();
    }
    void block(int, int) override {}
    void timing(std::string_view, int, double) override {}
    void preview(int, int, int, int, std::vector<std::uint8_t>) override {}
    void latents(std::vector<std::uint8_t>) override {}
    void frame(int, int, int, int, std::vector<std::uint8_t>) override {}
    void chunks(const ChunkRecord& part) override {
        rows.insert(rows.end(), part.rows.begin(), part.rows.end());
        peakBytes = std::max(peakBytes, m_device.memory().peakBytes);
        if (m_mostRows > 0 && static_cast<int>(rows.size()) >= m_mostRows)
            stop.request_stop();
    }

    GenerationRequest request;
    MemoryPlan plan;
    std::vector<ChunkRowRecord> rows;
    std::uint64_t peakBytes = 0;
    std::stop_source stop;

private:
    accel::Device& m_device;
    int m_mostRows;
};

int report(const RowCollector& collector) {
    std::map<std::pair<int, int>, std::vector<double>> byKind; // computed, reused
    int computed = 0, reused = 0;
    double seconds = 0;
    for (const ChunkRowRecord& row : collector.rows) {
        int computes = 0;
        for (const ChunkStepRecord& chunk : row.chunks)
            computes += chunk.decision != ChunkDecision::Reuse;
        const int reuses = static_cast<int>(row.chunks.size()) - computes;
        byKind[{computes, reuses}].push_back(row.milliseconds / 1000);
        computed += computes;
        reused += reuses;
        seconds += row.milliseconds / 1000;
    }
    Value kinds;
    for (auto& [kind, times] : byKind) {
        std::sort(times.begin(), times.end());
        std::printf("rows that compute %d and reuse %d chunks: %.4f s (%.4f to %.4f, %zu rows)\n", kind.first,
                    kind.second, times[times.size() / 2], times.front(), times.back(), times.size());
        Value v;
        v.set("computed", kind.first).set("reused", kind.second).set("median_s", times[times.size() / 2]);
        v.set("least_s", times.front())
            .set("most_s", times.back())
            .set("rows", static_cast<int>(times.size()));
        kinds.push(std::move(v));
    }
    std::uint64_t planned = 0, keys = 0;
    for (const MemoryStage& stage : collector.plan.stages) {
        if (stage.name != "denoise")
            continue;
        planned = stage.bytes(collector.request.device);
        for (const MemoryItem& item : stage.items)
            keys += item.category == MemoryCategory::KeyValues ? item.bytes : 0;
    }
    const KvUse kv = collector.rows.empty() ? KvUse{} : collector.rows.back().kv;
    const double gap =
        static_cast<double>(collector.peakBytes) / static_cast<double>(std::max<std::uint64_t>(planned, 1)) -
        1;
    std::printf("%zu rows, %d chunk steps computed, %d reused, %.3f s\n", collector.rows.size(), computed,
                reused, seconds);
    std::printf("keys %.1f MB (planned %.1f); peak while denoising %.1f MB, planned %.1f MB, %+.2f %%\n",
                static_cast<double>(kv.bytes) * 1e-6, static_cast<double>(keys) * 1e-6,
                static_cast<double>(collector.peakBytes) * 1e-6, static_cast<double>(planned) * 1e-6,
                100 * gap);
    Value out;
    out.set("size", std::to_string(collector.request.width) + "x" + std::to_string(collector.request.height));
    out.set("frames", collector.request.frames).set("steps", collector.request.steps);
    out.set("cache", reuseMethodName(collector.request.chunks.cache));
    out.set("rows", static_cast<int>(collector.rows.size())).set("seconds", seconds);
    out.set("computed", computed).set("reused", reused).set("kinds", std::move(kinds));
    out.set("kv_bytes", kv.bytes).set("kv_planned_bytes", keys).set("peak_bytes", collector.peakBytes);
    out.set("planned_bytes", planned);
    std::printf("%s\n", toJson(out).c_str());
    return collector.rows.empty() ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Times rows of block-wise sampling");
    GenerationRequest request;
    request.prompt = "a red balloon rises slowly over the sea at sunset";
    request.seed = 7;
    request.chunks.mode = SamplingMode::Chunked;
    std::string modelPath, deviceText = "cuda", size, cache = "none";
    int rows = 0;
    app.add_option("--model", modelPath)->required();
    app.add_option("--device", deviceText)->check(CLI::IsMember({"cpu", "cuda"}));
    app.add_option("--size", size);
    app.add_option("--frames", request.frames);
    app.add_option("--steps", request.steps);
    app.add_option("--guidance", request.guidance);
    app.add_option("--block-frames", request.chunks.blockFrames);
    app.add_option("--ar-step", request.chunks.arStep);
    app.add_option("--cache", cache)->check(CLI::IsMember({"none", "teacache", "flowcache"}));
    app.add_option("--threshold", request.chunks.threshold);
    app.add_option("--hit-rate", request.chunks.hitRate);
    app.add_option("--kv-budget", request.chunks.kvBudget);
    app.add_option("--rows", rows, "Stop after so many; 0 = all");
    CLI11_PARSE(app, argc, argv);
    if (!size.empty() && std::sscanf(size.c_str(), "%dx%d", &request.width, &request.height) != 2) {
        std::fprintf(stderr, "--size is \"%s\"; expected WIDTHxHEIGHT\n", size.c_str());
        return 2;
    }
    request.chunks.cache = *reuseMethodFromName(cache);
    request.device = deviceText == "cuda" ? DeviceKind::Cuda : DeviceKind::Cpu;
    const auto model = scanModel(modelPath);
    if (!model) {
        std::fprintf(stderr, "%s\n", model.error().message.c_str());
        return 1;
    }
    request.modelId = model->id;
    const auto engine = accel::makeEngine();
    // A second handle on the same card, for its counters.
    auto card = request.device == DeviceKind::Cuda
                    ? accel::loadCuda()
                    : Result<std::unique_ptr<accel::Device>>(accel::makeCpuDevice());
    if (!card) {
        std::fprintf(stderr, "%s\n", card.error().message.c_str());
        return 1;
    }
    RowCollector collector(**card, rows);
    const auto summary = engine->generate(request, *model, collector, collector.stop.get_token());
    if (!summary && summary.error().code != ErrorCode::Cancelled) {
        std::fprintf(stderr, "%s\n", summary.error().message.c_str());
        return 1;
    }
    return report(collector);
}
