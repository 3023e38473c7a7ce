// Does the Speed slider keep its promise? Makes the clips of *Measure this machine*, then ten in sizes,
// lengths, steps and ways that were not measured, and counts how many took as long as their interval says.
//
// The same short dense clip is made before and after every other one, and a clip's time is taken over the
// mean of the two: what else the machine does slows both. Times are told in seconds of the median reference.
//
//   speed_bench [--model ID] [--repeats N]      a model of the built-in folder or a path; the starter without
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <unistd.h>
#include <vector>

#include "core/formats/model_folders.h"
#include "core/job/settings_schema.h"
#include "core/studio/machine.h"
#include "core/studio/speed_measurement.h"
#include "core/studio/speed_model.h"
#include "core/studio/speed_stops.h"

using namespace canopy;

namespace {

struct Case {
    const char* stop;
    int width, height, frames, steps;
};
constexpr Case kCases[] = {
    {"dense", 320, 192, 13, 9},     {"balanced", 320, 192, 29, 10}, {"dense", 256, 160, 25, 5},
    {"faithful", 320, 192, 17, 12}, {"fast", 288, 192, 33, 8},      {"draft", 320, 192, 25, 16},
    {"dense", 320, 192, 29, 3},     {"balanced", 256, 192, 17, 7},  {"draft", 384, 192, 29, 5},
    {"fast", 320, 160, 13, 20},
};

int fail(const Error& error) {
    std::fprintf(stderr, "%s\n", error.message.c_str());
    return 1;
}

/// Seconds of one clip without loading the model.
Result<double> make(Studio& studio, const GenerationRequest& request, int number) {
    JobTarget target;
    target.reserved = true;
    target.file = studio.measuringFolder() / ("case-" + std::to_string(number) + ".mp4");
    const auto id = studio.generate(request, target);
    if (!id)
        return id.error();
    std::uint64_t seen = 0;
    for (;;) {
        const auto snapshot = studio.waitForChange(seen, std::chrono::milliseconds(500));
        seen = snapshot->sequence;
        const JobRow* row = snapshot->find(*id);
        if (!row || !isFinished(row->record.state))
            continue;
        if (row->record.state != JobState::Done)
            return makeError(row->record.code, row->record.sentence);
        return row->record.summary["make_seconds"].asDouble() -
               row->record.summary["load_seconds"].asDouble();
    }
}

double medianOf(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double secondsOf(const SpeedSample& s) {
    return s.restSeconds + s.denseSteps * s.denseStepSeconds + (s.steps - s.denseSteps) * s.sparseStepSeconds;
}

/// Makes clips between two of the reference.
class Interleaved {
public:
    Interleaved(Studio& studio, SpeedRun reference)
        : m_studio(studio)
        , m_reference(std::move(reference)) {}

    /// Throws the first one away: it loads the model.
    Result<void> begin() {
        for (int i = 0; i < 2; ++i)
            if (auto made = reference(); !made)
                return made;
        m_references.erase(m_references.begin());
        return {};
    }

    /// Seconds of the references around what `work` makes.
    Result<double> around(const std::function<Result<void>()>& work) {
        const double before = m_references.back();
        if (auto done = work(); !done)
            return done.error();
        if (auto made = reference(); !made)
            return made.error();
        return (before + m_references.back()) / 2;
    }

    double typical() const { return medianOf(m_references); }
    const std::vector<double>& references() const { return m_references; }

private:
    Result<void> reference() {
        const auto record = measureSpeed(m_studio, {m_reference});
        if (!record)
            return record.error();
        m_references.push_back(secondsOf(record->samples.front()));
        return {};
    }

    Studio& m_studio;
    const SpeedRun m_reference;
    std::vector<double> m_references;
};

int run(const std::string& modelId, int repeats, const std::filesystem::path& folder) {
    const ModelFolders folders;
    const auto model = findModel(modelId, folders);
    if (!model)
        return fail(model.error());
    StudioOptions options;
    options.dataFolder = folder / "data";
    options.stateFolder = folder / "state";
    options.clipFolder = folder / "clips";
    options.programVersion = "bench";
    options.onlyReservedJobs = true;
    options.findModel = [&](const GenerationRequest&) { return model; };
    auto studio = Studio::open(std::move(options));
    if (!studio)
        return fail(studio.error());

    GenerationRequest base;
    base.prompt = "a red balloon rises slowly over the sea at dusk";
    base.modelId = model->id;
    base.modelPath = model->root.string();
    base = withModelDefaults(base, model->defaults);
    const auto plan = speedPlan(base, model->defaults);
    Interleaved interleaved(**studio, plan.front());
    if (auto begun = interleaved.begin(); !begun)
        return fail(begun.error());

    std::optional<SpeedRecord> record;
    std::vector<double> beside; // of each sample
    for (const SpeedRun& planned : plan) {
        std::fprintf(stderr, "measuring %s, %d frames\n", planned.stop.c_str(), planned.request.frames);
        SpeedRun alone = planned;
        alone.denseRun = -1;
        const auto local = interleaved.around([&]() -> Result<void> {
            auto one = measureSpeed(**studio, {alone});
            if (!one)
                return one.error();
            if (record)
                record->samples.push_back(one->samples.front());
            else
                record = std::move(*one);
            return {};
        });
        if (!local)
            return fail(local.error());
        beside.push_back(*local);
    }
    std::vector<std::vector<double>> timed(std::size(kCases)), ratios(std::size(kCases));
    int number = 0;
    for (int repeat = 0; repeat < repeats; ++repeat)
        for (std::size_t i = 0; i < std::size(kCases); ++i) {
            const Case& c = kCases[i];
            std::fprintf(stderr, "case %zu, time %d\n", i + 1, repeat + 1);
            GenerationRequest r = base;
            r.width = c.width;
            r.height = c.height;
            r.frames = c.frames;
            r.steps = c.steps;
            r.seed = static_cast<std::uint64_t>(100 + number);
            r.attention = attentionOf(c.stop, c.steps);
            double seconds = 0;
            const auto local = interleaved.around([&]() -> Result<void> {
                const auto made = make(**studio, r, number++);
                if (!made)
                    return made.error();
                seconds = *made;
                return {};
            });
            if (!local)
                return fail(local.error());
            timed[i].push_back(seconds);
            ratios[i].push_back(seconds / *local);
        }

    const double typical = interleaved.typical();
    for (std::size_t i = 0; i < record->samples.size(); ++i) {
        SpeedSample& s = record->samples[i];
        const double scale = typical / beside[i];
        s.denseStepSeconds *= scale;
        s.sparseStepSeconds *= scale;
        s.restSeconds *= scale;
    }
    const auto fitted = SpeedModel::fit(*record);
    if (!fitted)
        return fail(fitted.error());
    auto references = interleaved.references();
    std::sort(references.begin(), references.end());
    std::printf(
        "%s\n%zu clips measured, interval +-%.0f %%, attention %.0f %% of a dense step at %lld tokens\n"
        "reference %.2f s in the median of %zu, %.2f to %.2f s\n",
        record->key.machine.c_str(), record->samples.size(), 100 * fitted->relativeSpread(),
        100 * fitted->attentionShare(videoTokens(base)), static_cast<long long>(videoTokens(base)), typical,
        references.size(), references.front(), references.back());

    int held = 0;
    std::printf("\n%-9s %9s %6s %5s %9s %17s %9s %9s\n", "way", "size", "frames", "steps", "predicted",
                "interval", "measured", "as timed");
    for (std::size_t i = 0; i < std::size(kCases); ++i) {
        const Case& c = kCases[i];
        GenerationRequest r = base;
        r.width = c.width;
        r.height = c.height;
        r.frames = c.frames;
        r.steps = c.steps;
        const auto predicted = fitted->predict(r, c.stop);
        if (!predicted)
            return fail(makeError(ErrorCode::Internal, std::string("Nothing was measured for ") + c.stop));
        const double seconds = medianOf(ratios[i]) * typical;
        const bool inside = seconds >= predicted->low && seconds <= predicted->high;
        held += inside;
        std::printf("%-9s %4dx%-4d %6d %5d %8.2fs %7.2f - %6.2fs %8.2fs %8.2fs %s\n", c.stop, c.width,
                    c.height, c.frames, c.steps, predicted->seconds, predicted->low, predicted->high, seconds,
                    medianOf(timed[i]), inside ? "" : "outside");
    }
    std::printf("\n%d of %zu inside their interval\n", held, std::size(kCases));
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    std::string model = "starter-video";
    int repeats = 3;
    for (int i = 1; i + 1 < argc; i += 2)
        if (std::strcmp(argv[i], "--model") == 0)
            model = argv[i + 1];
        else if (std::strcmp(argv[i], "--repeats") == 0)
            repeats = std::max(1, std::atoi(argv[i + 1]));
    const auto folder =
        std::filesystem::temp_directory_path() / ("canopy-speed-bench-" + std::to_string(::getpid()));
    const int code = run(model, repeats, folder);
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
    return code;
}
