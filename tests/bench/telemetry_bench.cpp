// What watching sparse attention costs at scalar level. Within one clip the topic "attention" is watched in
// every other step; the next clip of the same noise watches the steps between, so that a step's own cost and
// a machine that others use fall out. Prints the medians over pairs of neighbouring steps, of elapsed and of
// processor time, and whether all clips' latents have the same bits.
//
//   telemetry_bench --model DIR [--frames N] [--steps N] [--runs N] [--threads N]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <sys/resource.h>
#include <vector>

#include <CLI/CLI.hpp>

#include "accel/engine/accel_engine.h"
#include "core/formats/model_scan.h"

using namespace canopy;

namespace {

double processorSeconds() {
    rusage use{};
    ::getrusage(RUSAGE_SELF, &use);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return seconds(use.ru_utime) + seconds(use.ru_stime);
}

enum class Watch { Never, EvenSteps, OddSteps, Always };

struct Step {
    double elapsed = 0, processor = 0;
};

class Watcher final : public accel::JobObserver {
public:
    explicit Watcher(Watch watch)
        : m_watch(watch) {}

    bool wants(std::string_view topic) const override {
        if (topic != "attention")
            return false;
        return m_watch == Watch::Always || (m_watch == Watch::EvenSteps && m_step % 2 == 0) ||
               (m_watch == Watch::OddSteps && m_step % 2 == 1);
    }
    void resolved(const GenerationRequest&, const MemoryPlan&) override {}
    void stage(std::string_view name, int unit, int) override {
        if (name == "denoise" && unit == 0)
            m_processor = processorSeconds();
    }
    void block(int, int) override {}
    void timing(std::string_view name, int step, double seconds) override {
        if (name != "step")
            return;
        const double now = processorSeconds();
        steps.push_back({seconds, now - m_processor});
        m_processor = now;
        m_step = step + 1;
    }
    void preview(int, int, int, int, std::vector<std::uint8_t>) override {}
    void attentionStep(const AttentionStep& step) override { records += step.calls.size(); }
    void latents(std::vector<std::uint8_t> file) override { bytes = std::move(file); }
    void frame(int, int, int, int, std::vector<std::uint8_t>) override {}

    std::vector<Step> steps;
    std::vector<std::uint8_t> bytes;
    std::size_t records = 0;

private:
    const Watch m_watch;
    int m_step = 0;
    double m_processor = 0;
};

struct Spread {
    double median = 0, low = 0, high = 0; ///< quartiles
};

Spread spreadOf(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const auto at = [&](double share) {
        return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
    };
    return {at(0.5), at(0.25), at(0.75)};
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Times steps with and without watching the attention");
    GenerationRequest request;
    request.prompt = "a red balloon rises slowly over the sea at dusk";
    request.seed = 7;
    request.frames = 33;
    request.steps = 16;
    request.attention.method = AttentionMethod::XAttention;
    request.attention.reuse = MaskReuse::Tmr;
    request.attention.warmup = 1;
    std::string modelPath;
    int runs = 6;
    app.add_option("--model", modelPath)->required();
    app.add_option("--frames", request.frames);
    app.add_option("--steps", request.steps);
    app.add_option("--threads", request.threads);
    app.add_option("--runs", runs)->check(CLI::Range(2, 1000));
    CLI11_PARSE(app, argc, argv);
    runs += runs % 2;
    const auto model = scanModel(modelPath);
    if (!model) {
        std::fprintf(stderr, "%s\n", model.error().message.c_str());
        return 1;
    }
    request.modelId = model->id;
    const auto engine = accel::makeEngine();
    std::vector<std::uint8_t> first;
    bool isEqual = true;
    std::vector<double> elapsed, processor;
    std::vector<Watch> plan{Watch::Never, Watch::Always}; // warm up, and the bits of both
    for (int i = 0; i < runs; ++i)
        plan.push_back(i % 2 == 0 ? Watch::EvenSteps : Watch::OddSteps);
    for (std::size_t run = 0; run < plan.size(); ++run) {
        Watcher watcher(plan[run]);
        const auto summary = engine->generate(request, *model, watcher, {});
        if (!summary) {
            std::fprintf(stderr, "%s\n", summary.error().message.c_str());
            return 1;
        }
        if (run == 0)
            first = watcher.bytes;
        isEqual = isEqual && watcher.bytes == first;
        std::fprintf(stderr, "clip %zu of %zu: %zu records\n", run + 1, plan.size(), watcher.records);
        if (run < 2)
            continue;
        // Sparse steps only: step 0 is dense.
        for (std::size_t step = 1; step + 1 < watcher.steps.size(); ++step) {
            const bool firstIsWatched = (step % 2 == 0) == (plan[run] == Watch::EvenSteps);
            const Step &a = watcher.steps[step], &b = watcher.steps[step + 1];
            const Step &on = firstIsWatched ? a : b, &off = firstIsWatched ? b : a;
            const double logs[] = {std::log(on.elapsed / off.elapsed),
                                   std::log(on.processor / off.processor)};
            if (run % 2 == 0) {
                elapsed.push_back(logs[0]);
                processor.push_back(logs[1]);
            } else { // the same steps, the other one watched: what the steps themselves differ by falls out
                const std::size_t pair = elapsed.size() - watcher.steps.size() + 2 + step - 1;
                elapsed[pair] = (elapsed[pair] + logs[0]) / 2;
                processor[pair] = (processor[pair] + logs[1]) / 2;
            }
        }
    }
    const auto print = [](const char* what, const Spread& s) {
        const auto percent = [](double log) { return (std::exp(log) - 1) * 100; };
        std::printf("%s: watched over not watched %+.2f %% in the median, quartiles %+.2f to %+.2f %%\n",
                    what, percent(s.median), percent(s.low), percent(s.high));
    };
    std::printf("%d frames, %d steps, %d clips, %zu pairs of steps\n", request.frames, request.steps, runs,
                elapsed.size());
    print("elapsed time", spreadOf(elapsed));
    print("processor time", spreadOf(processor));
    std::printf("latents of all clips: %s\n", isEqual ? "same bits" : "DIFFERENT BITS");
    return isEqual ? 0 : 1;
}
