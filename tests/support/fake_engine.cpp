#include "tests/support/fake_engine.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"
#include "core/job/sampling_point.h"
#include "core/job/settings_schema.h"
#include "tests/support/fake_chunks.h"
#include "tests/support/fake_tokens.h"

namespace canopy::test {
namespace {

int numberFromEnvironment(const char* name, int fallback) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::atoi(text) : fallback;
}

struct Fault {
    std::string point;
    int n = 1;
    std::string action;
    int value = 0;
    std::optional<std::uint64_t> seed;
};

std::optional<Fault> faultFromEnvironment() {
    const char* text = std::getenv("CANOPY_FAULT");
    if (text == nullptr || *text == '\0') {
        return {};
    }
    std::map<std::string, std::string> parts;
    std::string rest = text;
    while (!rest.empty()) {
        const std::string part = rest.substr(0, rest.find(','));
        rest.erase(0, part.size() + 1);
        const std::size_t equals = part.find('=');
        if (equals == std::string::npos) {
            throw std::runtime_error("CANOPY_FAULT has no '=' in '" + part + "'");
        }
        parts[part.substr(0, equals)] = part.substr(equals + 1);
    }
    Fault fault;
    fault.point = parts["point"];
    fault.n = parts.contains("n") ? std::stoi(parts["n"]) : 1;
    fault.action = parts["do"];
    if (const std::size_t equals = fault.action.find('='); equals != std::string::npos) {
        fault.value = std::stoi(fault.action.substr(equals + 1));
        fault.action.erase(equals);
    }
    if (parts.contains("seed")) {
        fault.seed = std::stoull(parts["seed"]);
    }
    return fault;
}

/// What a fault makes of the running job; everything else never comes back.
struct FaultError {
    Error error;
};

class FakeEngine : public accel::Engine {
public:
    FakeEngine() {
        std::this_thread::sleep_for(
            std::chrono::milliseconds(numberFromEnvironment("CANOPY_FAKE_START_MS", 0)));
    }

    accel::EngineInfo info() const override {
        return {2, false, {"cpu"}, "This is the scripted engine of the tests."};
    }

    Result<accel::JobSummary> generate(const GenerationRequest& asked, const ModelRecord& model,
                                       accel::JobObserver& observer, std::stop_token stop) override {
        m_passes.clear();
        try {
            return run(asked, model, observer, stop);
        } catch (const FaultError& fault) {
            return fault.error;
        }
    }

    Result<Answer> ask(const AskRequest& asked, const QaModelRecord&, accel::AskObserver& observer,
                       std::stop_token stop) override {
        m_passes.clear();
        try {
            return answer(asked, observer, stop);
        } catch (const FaultError& fault) {
            return fault.error;
        }
    }

    Result<std::vector<float>> similarity(const AskRequest& request, const QaModelRecord&, int cell,
                                          std::stop_token) override {
        std::vector<float> cosine(static_cast<std::size_t>(fakeTokenRun(request).cells()), 0.25f);
        if (cell < 0 || cell >= static_cast<int>(cosine.size()))
            return makeError(ErrorCode::InvalidArgument, "No such cell.");
        cosine[static_cast<std::size_t>(cell)] = 1;
        return cosine;
    }

    Result<CalibrationRequest> calibrate(const CalibrationRequest& asked, const ModelRecord& model,
                                         accel::CalibrationObserver& observer,
                                         std::stop_token stop) override {
        m_passes.clear();
        try {
            return measure(asked, model, observer, stop);
        } catch (const FaultError& fault) {
            return fault.error;
        }
    }

    void freeMemory() override {}
    std::uint64_t deviceBytes() const override { return 0; }
    bool broken() const override { return m_broken; }

private:
    Result<accel::JobSummary> run(const GenerationRequest& asked, const ModelRecord& model,
                                  accel::JobObserver& observer, std::stop_token stop) {
        const double start = steadySeconds();
        GenerationRequest r = withModelDefaults(asked, model.defaults);
        r.width = r.width > 0 ? r.width : 64;
        r.height = r.height > 0 ? r.height : 48;
        r.frames = r.frames > 0 ? r.frames : 9;
        r.steps = r.steps > 0 ? r.steps : 6;
        r.fps = r.fps > 0 ? r.fps : 16;
        r.precision = Precision::Float32;
        r.threads = 2;
        r.kernelSet = "fake";
        m_seed = r.seed;
        log(LogLevel::Trace, "fake", "prompt: " + r.prompt);
        logInfo("fake", "A scripted job begins.");

        MemoryPlan plan;
        plan.stages.push_back({"denoise", {{MemoryCategory::Weights, DeviceKind::Cpu, 1 << 20}}});
        plan.stages.push_back({"decode", {{MemoryCategory::Vae, DeviceKind::Cpu, 2 << 20}}});

        observer.stage("load", 0, 1);
        pass("load");
        observer.resolved(r, plan);
        observer.stage("load", 1, 1);
        observer.stage("text", 0, 1);
        pass("text");
        observer.stage("text", 1, 1);

        accel::JobSummary summary;
        const int blocks = numberFromEnvironment("CANOPY_FAKE_BLOCKS", 8);
        const int previews = numberFromEnvironment("CANOPY_FAKE_PREVIEWS", 1);
        const bool chunked = r.chunks.mode == SamplingMode::Chunked;
        const int rows = chunked ? fakeChunkRecord(r).run->rows : r.steps;
        int sent = 0; // frames
        const auto sendFrame = [&] {
            observer.frame(sent, r.frames, r.width, r.height, fakeFrame(r.seed, sent, r.width, r.height));
            ++sent;
        };
        int begin = 0;
        if (!r.resumeStatePath.empty()) {
            const auto saved = SafetensorsFile::open(r.resumeStatePath);
            const auto point = saved ? statePoint(saved->header()) : Result<SamplingPoint>(saved.error());
            if (!point)
                return point.error();
            begin = point->row;
            observer.resumed(*point);
        }
        const auto save = [&](int step, bool stopped) {
            if (step > 0 && !chunked && observer.wantsState(stopped))
                observer.state({.row = step, .rows = rows}, fakeState(r, step));
        };
        observer.stage("denoise", begin, rows);
        for (int step = begin; step < rows; ++step) {
            const double stepStart = steadySeconds();
            pass("step");
            for (int block = 0; block < blocks; ++block) {
                pass("block");
                if (!work(stop)) {
                    save(step, true);
                    return makeError(ErrorCode::Cancelled, "Cancelled.");
                }
                observer.block(block + 1, blocks);
                if (observer.wants("block_times")) {
                    observer.timing("block " + std::to_string(block), step, 0.001);
                }
            }
            for (int i = 0; i < previews && observer.wants("preview"); ++i) {
                std::vector<std::uint8_t> rgb;
                for (int f = 0; f < 2; ++f) {
                    const auto picture = fakeFrame(r.seed, f, r.width, r.height);
                    rgb.insert(rgb.end(), picture.begin(), picture.end());
                }
                observer.preview(step, r.width, r.height, 2, std::move(rgb));
            }
            summary.stepSeconds.push_back(steadySeconds() - stepStart);
            observer.timing("step", step, summary.stepSeconds.back());
            if (chunked) {
                const ChunkRecord part = fakeChunkPart(r, step);
                if (observer.wants("chunks"))
                    observer.chunks(part);
                for (const auto& done : part.done)
                    while (sent < std::min(r.frames, fakeChunkEnd(done.chunk)))
                        sendFrame();
            }
            observer.stage("denoise", step + 1, rows);
            save(step + 1, false);
        }
        if (r.attention.method != AttentionMethod::Dense && observer.wants("attention_stats"))
            observer.attentionStats(attentionStats(r, model));
        pass("latents");
        observer.latents(fakeLatents(r.seed, r.width, r.height, r.frames));

        observer.stage("decode", sent, r.frames);
        while (sent < r.frames) {
            pass("frame");
            if (!work(stop)) {
                return makeError(ErrorCode::Cancelled, "Cancelled.");
            }
            sendFrame();
            observer.stage("decode", sent, r.frames);
        }
        summary.request = r;
        summary.denoiseSeconds = steadySeconds() - start;
        summary.plannedBytes = 2 << 20;
        summary.peakBytes = 2 << 20;
        return summary;
    }

    static std::vector<std::uint8_t> fakeState(const GenerationRequest& r, int step) {
        const SamplingPoint point{.row = step, .rows = r.steps};
        const std::vector<std::uint8_t> bytes(64, static_cast<std::uint8_t>(step));
        return writeSafetensors({{"latents", DType::U8, {bytes.size()}, bytes}},
                                {{std::string(kStateVersionKey), std::to_string(kStateVersion)},
                                 {std::string(kStatePointKey), toJson(toValue(point))},
                                 {std::string(kStateRequestKey), stateIdentity(r)},
                                 {std::string(kStateValuesKey), "{}"}});
    }

    /// Every head keeps its threshold's square; one dense call a layer.
    static std::vector<std::uint8_t> attentionStats(const GenerationRequest& r, const ModelRecord& model) {
        Value::Array calls;
        for (int layer = 0; layer < model.dit.layers; ++layer) {
            Value::Array kept;
            for (int head = 0; head < model.dit.heads; ++head) {
                const double tau =
                    r.attention.headTau.empty()
                        ? r.attention.tau
                        : r.attention
                              .headTau[static_cast<std::size_t>(layer)][static_cast<std::size_t>(head)];
                kept.emplace_back(tau * tau);
            }
            calls.push_back(Value{}.set("layer", layer).set("mode", "warmup"));
            calls.push_back(Value{}.set("layer", layer).set("mode", "sparse").set("kept", std::move(kept)));
        }
        Value summary;
        summary.set("calls", 2 * model.dit.layers).set("dense_calls", model.dit.layers);
        summary.set("kept_share", 0.5).set("reused_share", 0.25);
        summary.set("estimate_seconds", 0.1).set("attention_seconds", 0.3);
        const std::string text =
            toJson(Value{}.set("summary", std::move(summary)).set("calls", std::move(calls)));
        return {text.begin(), text.end()};
    }

    /// Sparsity falls and error rises with the candidate, differently for every head.
    Result<CalibrationRequest> measure(const CalibrationRequest& asked, const ModelRecord& model,
                                       accel::CalibrationObserver& observer, std::stop_token stop) {
        CalibrationRequest r = withModelDefaults(asked, model.defaults);
        r.clip.precision = Precision::Float32;
        r.clip.threads = 2;
        observer.resolved(r, {});
        const auto samples =
            calibrationSamples(model.dit.layers, model.dit.heads, static_cast<int>(r.prompts.size()),
                               r.clip.steps, r.clip.attention.warmup, r.clip.seed);
        const int units = model.dit.layers * model.dit.heads;
        for (int unit = 0; unit < units; ++unit) {
            const int layer = unit / model.dit.heads, head = unit % model.dit.heads;
            for (const int step :
                 samples[static_cast<std::size_t>(layer)][static_cast<std::size_t>(head)].steps) {
                pass("head");
                if (!work(stop))
                    return makeError(ErrorCode::Cancelled, "Cancelled.");
                bool known = false;
                for (std::size_t i = 0; i + 2 < r.measured.size(); i += 3)
                    known = known || (r.measured[i] == layer && r.measured[i + 1] == head &&
                                      r.measured[i + 2] == step);
                if (known)
                    continue;
                HeadMeasurement m{layer, head, step, 0, {}, {}};
                for (std::size_t k = 0; k < r.grid.size(); ++k) {
                    const double rank = static_cast<double>(k);
                    m.sparsity.push_back(0.8 - 0.1 * rank - 0.01 * head);
                    m.bandError.push_back({0.1 / (1 + layer + rank * rank), 0.01 * (1 + head), 0, 0.5});
                }
                if (r.procedure == CalibrationProcedure::Profile) {
                    m.profileTau = 0.8 + 0.01 * head;
                    m.sparsity = {0.6};
                    m.bandError.clear();
                }
                observer.measured(m);
            }
            observer.stage("calibrate", unit + 1, units);
        }
        return r;
    }

    Result<Answer> answer(const AskRequest& asked, accel::AskObserver& observer, std::stop_token stop) {
        AskRequest r = asked;
        r.precision = Precision::Float32;
        r.threads = 2;
        r.kernelSet = "fake";
        m_seed = r.tokens.seed;
        MemoryPlan plan;
        plan.stages.push_back({"prefill", {{MemoryCategory::Weights, DeviceKind::Cpu, 1 << 20}}});
        observer.stage("load", 0, 1);
        pass("load");
        observer.resolved(r, plan);
        const int frames = static_cast<int>(r.frameIndex.size());
        observer.stage("vision", 0, frames);
        for (int frame = 0; frame < frames; ++frame) {
            pass("frame");
            if (!work(stop)) {
                return makeError(ErrorCode::Cancelled, "Cancelled.");
            }
            observer.stage("vision", frame + 1, frames);
        }
        observer.stage("select", 0, 1);
        const TokenRun run = fakeTokenRun(r);
        observer.tokens(run);
        observer.stage("prefill", 0, 4);
        pass("block");
        Answer out;
        observer.stage("answer", 0, 0);
        const std::array<const char*, 3> words = {"a", " scripted", " answer"};
        for (int i = 0; i < 3 && !r.question.empty(); ++i) {
            pass("word");
            if (!work(stop)) {
                return makeError(ErrorCode::Cancelled, "Cancelled.");
            }
            observer.words(words[static_cast<std::size_t>(i)]);
            out.text += words[static_cast<std::size_t>(i)];
            out.ids.push_back(i + 1);
            observer.stage("answer", i + 1, 0);
        }
        out.request = r;
        if (!r.options.empty()) {
            out.letterProbabilities.assign(r.options.size(), 0.1 / double(r.options.size()));
            out.letterProbabilities.front() += 0.9;
        }
        out.frames = run.frames;
        out.cells = run.cells();
        out.videoTokens = run.modelTokens;
        out.unprunedTokens = run.cells() + 1;
        out.promptTokens = run.modelTokens + 30;
        out.firstWordSeconds = 0.01;
        out.prefillSeconds = 0.005;
        out.kvBytes = out.plannedKvBytes = static_cast<std::uint64_t>(out.promptTokens) * 1024;
        out.peakBytes = out.plannedBytes = 1 << 20;
        return out;
    }

    /// One block's time; false when stopped.
    static bool work(std::stop_token stop) {
        std::this_thread::sleep_for(
            std::chrono::milliseconds(numberFromEnvironment("CANOPY_FAKE_BLOCK_MS", 2)));
        return !stop.stop_requested();
    }

    void pass(const std::string& point) {
        const std::optional<Fault> fault = faultFromEnvironment();
        if (!fault || fault->point != point || (fault->seed && *fault->seed != m_seed) ||
            ++m_passes[point] != fault->n) {
            return;
        }
        const std::string& action = fault->action;
        if (action == "segv") {
            ::raise(SIGSEGV);
        } else if (action == "abort") {
            std::abort();
        } else if (action == "hang") {
            ::raise(SIGSTOP);
        } else if (action == "busyhang") {
            for (std::atomic<unsigned> turns = 0;; ++turns) {
                std::this_thread::sleep_for(
                    std::chrono::milliseconds(1)); // two cores are shared by all tests
            }
        } else if (action == "slow") {
            std::this_thread::sleep_for(std::chrono::milliseconds(fault->value));
        } else if (action == "exit") {
            std::_Exit(fault->value);
        } else if (action == "oom") {
            throw FaultError{makeError(ErrorCode::OutOfMemory,
                                       "Not enough memory: needed 41.2 GB, free 38.0 GB. "
                                       "Choose a smaller size.")};
        } else if (action == "sticky") {
            m_broken = true;
            throw FaultError{makeError(ErrorCode::Internal, "GPU error 700 (illegal access).")};
        } else if (action == "throw") {
            throw std::runtime_error("thrown on order");
        } else {
            throw std::runtime_error("CANOPY_FAULT: unknown action '" + action + "'");
        }
    }

    std::map<std::string, int> m_passes;
    std::uint64_t m_seed = 0;
    bool m_broken = false;
};

} // namespace

std::unique_ptr<accel::Engine> makeFakeEngine() {
    return std::make_unique<FakeEngine>();
}

std::vector<std::uint8_t> fakeFrame(std::uint64_t seed, int index, int width, int height) {
    std::vector<std::uint8_t> rgb;
    rgb.reserve(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
            rgb.push_back(static_cast<std::uint8_t>(x * 3 + index * 7));
            rgb.push_back(static_cast<std::uint8_t>(y * 5 + static_cast<int>(seed % 251)));
            rgb.push_back(static_cast<std::uint8_t>(index * 16));
        }
    }
    return rgb;
}

std::vector<std::uint8_t> fakeLatents(std::uint64_t seed, int width, int height, int frames) {
    const int f = latentFrames(frames);
    const int h = height / 8;
    const int w = width / 8;
    std::vector<float> values(static_cast<std::size_t>(16) * static_cast<std::size_t>(f) *
                              static_cast<std::size_t>(h) * static_cast<std::size_t>(w));
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>((i * 2654435761u + seed) % 1000) / 500.0f - 1.0f;
    }
    std::string header = R"({"latents":{"dtype":"F32","shape":[1,16,)" + std::to_string(f) + "," +
                         std::to_string(h) + "," + std::to_string(w) + R"(],"data_offsets":[0,)" +
                         std::to_string(values.size() * 4) + "]}}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    std::vector<std::uint8_t> file(8 + header.size() + values.size() * 4);
    const std::uint64_t length = header.size();
    std::memcpy(file.data(), &length, 8);
    std::memcpy(file.data() + 8, header.data(), header.size());
    std::memcpy(file.data() + 8 + header.size(), values.data(), values.size() * 4);
    return file;
}

} // namespace canopy::test
