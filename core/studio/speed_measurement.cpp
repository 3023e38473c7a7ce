#include "core/studio/speed_measurement.h"

#include <algorithm>
#include <set>

#include "core/base/clock.h"
#include "core/job/settings_schema.h"
#include "core/studio/machine.h"
#include "core/studio/speed_stops.h"

#if CANOPY_HAS_MEDIA
#include "core/media/compare.h"
#endif

namespace canopy {
namespace {

constexpr int kSteps =
    6; ///< of every measured clip: dense first steps and others are among them at each stop
constexpr std::string_view kPrompt = "a red balloon rises slowly over the sea at dusk";

/// Nearest length that the VAE makes: 4k + 1.
int wholeLength(double frames) {
    return std::max(5, static_cast<int>((frames - 1) / 4 + 0.5) * 4 + 1);
}

double meanOf(const Value::Array& values, std::size_t from, std::size_t to) {
    double sum = 0;
    for (std::size_t i = from; i < to; ++i)
        sum += values[i].asDouble();
    return to > from ? sum / static_cast<double>(to - from) : 0;
}

Result<SpeedSample> sampleOf(const SpeedRun& run, const GenerationRequest& resolved, const Value& summary) {
    const auto& steps = summary["step_seconds"].asArray();
    if (static_cast<int>(steps.size()) != resolved.steps)
        return makeError(ErrorCode::Internal, "The engine told the times of " + std::to_string(steps.size()) +
                                                  " steps; expected were " + std::to_string(resolved.steps) +
                                                  ".");
    SpeedSample s;
    s.stop = run.stop;
    s.tokens = videoTokens(resolved);
    s.pixels = std::int64_t{resolved.width} * resolved.height * resolved.frames;
    s.branches = resolved.guidance == 1.0 ? 1 : 2;
    s.steps = resolved.steps;
    s.denseSteps = run.stop == "dense" ? s.steps : std::max(0, resolved.attention.warmup);
    const auto dense = static_cast<std::size_t>(s.denseSteps);
    s.denseStepSeconds = meanOf(steps, 0, dense);
    s.sparseStepSeconds = meanOf(steps, dense, steps.size());
    s.restSeconds = summary["make_seconds"].asDouble() - summary["load_seconds"].asDouble() -
                    meanOf(steps, 0, steps.size()) * static_cast<double>(steps.size());
    if (s.restSeconds <= 0)
        return makeError(ErrorCode::Internal, "The engine's times do not add up to the job's.");
    return s;
}

/// Waits for the end of a job. A stop cancels it.
JobRecord follow(Studio& studio, JobId id, const std::stop_token& stop) {
    std::uint64_t seen = 0;
    bool cancelled = false;
    for (;;) {
        const auto snapshot = studio.waitForChange(seen, std::chrono::milliseconds(200));
        seen = snapshot->sequence;
        const JobRow* row = snapshot->find(id);
        if (row && isFinished(row->record.state))
            return row->record;
        if (stop.stop_requested() && !cancelled) {
            cancelled = true;
            if (!studio.cancel(id))
                cancelled = false; // it was just changing its state: asked again
        }
    }
}

/// Removes the jobs and clips of a measurement, however it ends.
class Traces {
public:
    explicit Traces(Studio& studio)
        : m_studio(studio) {}
    ~Traces() {
        for (const auto& [id, file] : m_runs) {
            static_cast<void>(m_studio.remove(id)); // a row that is left is only untidy
            std::error_code ec;
            std::filesystem::remove(file, ec);
        }
    }
    Traces(const Traces&) = delete;
    Traces& operator=(const Traces&) = delete;
    void add(JobId id, std::filesystem::path file) { m_runs.emplace_back(id, std::move(file)); }

private:
    Studio& m_studio;
    std::vector<std::pair<JobId, std::filesystem::path>> m_runs;
};

/// What a left-out run would take from the measurement: the second dense length or the only clip of a stop.
bool isNeeded(const SpeedRun& run, const std::vector<SpeedSample>& samples) {
    std::set<std::int64_t> denseSizes;
    bool hasStop = false;
    for (const SpeedSample& s : samples) {
        hasStop = hasStop || s.stop == run.stop;
        if (s.stop == "dense")
            denseSizes.insert(s.tokens);
    }
    return run.stop == "dense" ? denseSizes.size() < 2 : !hasStop;
}

} // namespace

std::vector<SpeedRun> speedPlan(const GenerationRequest& base, const ModelDefaults& defaults) {
    GenerationRequest r = withModelDefaults(base, defaults);
    r.steps = kSteps;
    r.attention = {};
    r.kernelSet.clear();
    r.imagePath.clear();
    if (r.prompt.find_first_not_of(" \t\r\n") == std::string::npos)
        r.prompt = kPrompt;
    const int longest = std::max(r.frames, wholeLength(defaults.framesTrainedMin));
    const int shortest = std::min(longest, wholeLength(std::max(defaults.framesTrainedMin, longest / 4)));
    const int middle = wholeLength((longest + shortest) / 2.0);
    std::vector<SpeedRun> plan;
    const auto add = [&](std::string_view stop, int frames, int denseRun = -1) {
        SpeedRun run{std::string(stop), r, denseRun};
        run.request.frames = frames;
        run.request.attention = attentionOf(stop, kSteps);
        plan.push_back(std::move(run));
        return static_cast<int>(plan.size()) - 1;
    };
    add("dense", shortest);
    const int reference = add("dense", longest);
    for (const SpeedStop& stop : speedStops())
        if (stop.id != "dense")
            add(stop.id, longest, reference);
    if (middle != longest && middle != shortest)
        add("dense", middle);
    if (shortest != longest)
        for (const SpeedStop& stop : speedStops())
            if (stop.id != "dense")
                add(stop.id, shortest);
    add("dense", longest);
    return plan;
}

Result<SpeedRecord> measureSpeed(Studio& studio, const std::vector<SpeedRun>& plan,
                                 const SpeedMeasureOptions& options) {
    if (!Studio::hasMedia())
        return makeError(ErrorCode::Unsupported,
                         "This build writes no video files, so it measures no speed.");
    const auto folder = studio.measuringFolder();
    SpeedRecord record;
    Traces traces(studio);
    std::vector<std::filesystem::path> files(plan.size());
    const double start = steadySeconds();
    const int runs = static_cast<int>(plan.size());
    for (int i = 0; i < runs; ++i) {
        const SpeedRun& run = plan[static_cast<std::size_t>(i)];
        if (steadySeconds() - start > options.mostSeconds && !isNeeded(run, record.samples))
            continue;
        if (options.progress)
            options.progress(i, runs,
                             run.stop + ", " + std::to_string(run.request.frames) + " frames of " +
                                 std::to_string(run.request.width) + "x" +
                                 std::to_string(run.request.height));
        JobTarget target;
        target.reserved = true;
        target.file = folder / ("speed-" + std::to_string(wallMillis()) + "-" + std::to_string(i) + ".mp4");
        const auto id = studio.generate(run.request, target);
        if (!id)
            return id.error();
        files[static_cast<std::size_t>(i)] = target.file;
        traces.add(*id, target.file);
        const JobRecord job = follow(studio, *id, options.stop);
        if (job.state == JobState::Cancelled)
            return makeError(ErrorCode::Cancelled, "The measurement was cancelled.");
        if (job.state != JobState::Done)
            return makeError(job.code, "A clip of the measurement was not made: " + job.sentence);
        const GenerationRequest& resolved = *job.clip();
        auto sample = sampleOf(run, resolved, job.summary);
        if (!sample)
            return sample.error();
        record.loadSeconds = std::max(record.loadSeconds, job.summary["load_seconds"].asDouble());
        record.kernelSet = resolved.kernelSet;
        record.samples.push_back(std::move(*sample));
#if CANOPY_HAS_MEDIA
        if (run.denseRun >= 0 && !files[static_cast<std::size_t>(run.denseRun)].empty()) {
            media::CompareOptions comparing;
            comparing.stop = options.stop;
            const auto likeness =
                media::compareFiles(files[static_cast<std::size_t>(run.denseRun)], target.file, comparing);
            if (!likeness)
                return likeness.error();
            // JSON holds no infinity; what is identical says so.
            record.likeness.push_back({run.stop, likeness->identical,
                                       likeness->identical ? 0 : likeness->psnr, likeness->ssim,
                                       videoTokens(resolved), resolved.steps});
        }
#endif
    }
    const auto worker = studio.snapshot()->worker;
    const GenerationRequest& asked = plan.front().request;
    record.key = speedKeyOf(asked, machineName(asked.device, worker.devices));
    record.measuredMillis = wallMillis();
    if (options.progress)
        options.progress(runs, runs, "done");
    return record;
}

} // namespace canopy
