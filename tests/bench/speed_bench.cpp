// Does the Speed slider keep its promise? Measures this machine as *Measure this machine* does, then makes
// ten clips in sizes, lengths, steps and ways that were not measured, and counts how many took as long as
// their interval says.
//
//   speed_bench [--model ID]      a model of the built-in folder or a path; the starter without
#include <cstdio>
#include <cstring>
#include <unistd.h>

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

int run(const std::string& modelId, const std::filesystem::path& folder) {
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
    SpeedMeasureOptions measuring;
    measuring.progress = [](int done, int runs, const std::string& words) {
        std::fprintf(stderr, "measuring %d of %d: %s\n", done, runs, words.c_str());
    };
    auto record = measureSpeed(**studio, speedPlan(base, model->defaults), measuring);
    if (!record)
        return fail(record.error());
    const auto fitted = SpeedModel::fit(*record);
    if (!fitted)
        return fail(fitted.error());
    std::printf(
        "%s\n%zu clips measured, interval +-%.0f %%, attention %.0f %% of a dense step at %lld tokens\n",
        record->key.machine.c_str(), record->samples.size(), 100 * fitted->relativeSpread(),
        100 * fitted->attentionShare(videoTokens(base)), static_cast<long long>(videoTokens(base)));
    for (const StopLikeness& l : record->likeness)
        std::printf("  %-9s against dense: PSNR %.1f dB, SSIM %.3f\n", l.stop.c_str(), l.psnr, l.ssim);

    int held = 0, number = 0;
    std::printf("\n%-9s %9s %6s %5s %9s %17s %9s\n", "way", "size", "frames", "steps", "predicted",
                "interval", "measured");
    for (const Case& c : kCases) {
        GenerationRequest r = base;
        r.width = c.width;
        r.height = c.height;
        r.frames = c.frames;
        r.steps = c.steps;
        r.seed = static_cast<std::uint64_t>(100 + number);
        r.attention = attentionOf(c.stop, c.steps);
        const auto predicted = fitted->predict(r, c.stop);
        if (!predicted)
            return fail(makeError(ErrorCode::Internal, std::string("Nothing was measured for ") + c.stop));
        const auto seconds = make(**studio, r, number++);
        if (!seconds)
            return fail(seconds.error());
        const bool inside = *seconds >= predicted->low && *seconds <= predicted->high;
        held += inside;
        std::printf("%-9s %4dx%-4d %6d %5d %8.2fs %7.2f - %6.2fs %8.2fs %s\n", c.stop, c.width, c.height,
                    c.frames, c.steps, predicted->seconds, predicted->low, predicted->high, *seconds,
                    inside ? "" : "outside");
        std::fflush(stdout);
    }
    std::printf("\n%d of %zu inside their interval\n", held, std::size(kCases));
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    std::string model = "starter-video";
    for (int i = 1; i + 1 < argc; i += 2)
        if (std::strcmp(argv[i], "--model") == 0)
            model = argv[i + 1];
    const auto folder =
        std::filesystem::temp_directory_path() / ("canopy-speed-bench-" + std::to_string(::getpid()));
    const int code = run(model, folder);
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
    return code;
}
