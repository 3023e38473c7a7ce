#include "core/evaluation/reuse_calibration_run.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "core/base/clock.h"
#include "core/evaluation/line_journal.h"
#include "core/evaluation/one_job.h"
#include "core/job/chunk_record.h"
#include "core/job/model_value.h"
#include "core/job/reuse_fit.h"
#include "core/job/settings_schema.h"

namespace canopy::evaluation {
namespace {

/// Shares of reused steps that presets aim at: careful, balanced, fast.
constexpr std::array kPresetRates = {0.3, 0.45, 0.6};

/// No sum of changes comes near it.
constexpr double kReuseAll = 1e9;

/// Every step computed.
GenerationRequest measured(GenerationRequest clip, const ModelDefaults& model) {
    const ChunkSettings asked = clip.chunks;
    clip.attention = {};
    clip.chunks = {};
    clip.chunks.mode = SamplingMode::Chunked;
    clip.chunks.blockFrames = asked.blockFrames;
    clip.chunks.arStep = asked.arStep;
    return withModelDefaults(std::move(clip), model);
}

GenerationRequest reusing(GenerationRequest clip, std::vector<double> rescale) {
    clip.chunks.cache = ReuseMethod::FlowCache;
    clip.chunks.feature = ReuseFeature::Time;
    clip.chunks.rescale = std::move(rescale);
    return clip;
}

/// What the samples depend on.
Value headOf(const ReuseCalibrationRunOptions& o) {
    GenerationRequest clip = o.clip;
    clip.prompt.clear();
    clip.threads = 0; // may differ between the slices of a run
    clip.modelPath.clear();
    Value head;
    head.set("version", 1).set("reuse", toValue(clip)).set("model", o.model.id);
    head.set("prompts_hash", hashOf(o.prompts));
    return head;
}

Value lineOf(std::size_t prompt, const std::vector<ChangeSample>& samples) {
    Value::Array pairs;
    for (const ChangeSample& sample : samples)
        pairs.emplace_back(Value::Array{sample.time, sample.output});
    Value line;
    line.set("prompt", prompt).set("changes", std::move(pairs));
    return line;
}

class Run {
public:
    Run(ReuseCalibrationRunOptions options, LineJournal journal, std::stop_token stop)
        : m_options(std::move(options))
        , m_journal(std::move(journal))
        , m_stop(std::move(stop))
        , m_client(m_options.worker) {
        for (const Value& line : m_journal.lines()) {
            if (line["prompt"].asInt(-1) != static_cast<std::int64_t>(m_prompt))
                break;
            for (const Value& pair : line["changes"].asArray())
                if (pair.asArray().size() == 2)
                    m_samples.push_back({pair.asArray()[0].asDouble(), pair.asArray()[1].asDouble()});
            ++m_prompt;
        }
    }

    Result<ReuseCalibration> all() {
        m_client.start();
        m_firstPrompt = m_prompt;
        m_start = steadySeconds();
        if (auto done = readTimes(); !done)
            return done.error();
        for (; m_prompt < m_options.prompts.size(); ++m_prompt)
            if (auto done = measure(m_options.prompts[m_prompt]); !done)
                return done.error();
        const auto fit = fitReuse(m_samples);
        if (!fit)
            return fit.error();
        ReuseCalibration c = described();
        c.polynomial = fit->polynomial;
        c.residual = fit->residual;
        c.meanChange = fit->meanChange;
        c.largestTimeChange = fit->largestTimeChange;
        for (const double rate : kPresetRates)
            if (auto done = addPreset(c, rate); !done)
                return done.error();
        return c;
    }

private:
    ReuseCalibration described() const {
        const GenerationRequest& clip = m_options.clip;
        ReuseCalibration c;
        c.modelId = m_options.model.id;
        c.modelLabel = m_options.model.defaults.label;
        c.prompts = static_cast<int>(m_options.prompts.size());
        c.samples = static_cast<int>(m_samples.size());
        c.steps = clip.steps;
        c.shift = clip.shift;
        c.guidance = clip.guidance;
        c.width = clip.width;
        c.height = clip.height;
        c.frames = clip.frames;
        return c;
    }

    /// The engine tells what its map was made from before the first row.
    Result<void> readTimes() {
        GenerationRequest clip = reusing(m_options.clip, {0, 0, 0, 1, 0});
        clip.prompt = m_options.prompts.front();
        clip.chunks.threshold = kReuseAll;
        clip.chunks.warmup = 0;
        const auto record = runUntilMap(clip);
        if (!record)
            return record.error();
        m_times = timeChanges(*record->run);
        return {};
    }

    Result<void> measure(const std::string& prompt) {
        GenerationRequest clip = m_options.clip;
        clip.prompt = prompt;
        const auto record = run(clip, [](const ChunkRecord&) { return false; });
        if (!record)
            return record.error();
        if (!record->run || static_cast<int>(record->rows.size()) != record->run->rows)
            return makeError(ErrorCode::Internal, "The engine told of " +
                                                      std::to_string(record->rows.size()) +
                                                      " rows of a clip and not of all; see the log.");
        const auto samples = changeSamples(*record, m_times);
        if (auto kept = m_journal.add(lineOf(m_prompt, samples)); !kept)
            return kept;
        m_samples.insert(m_samples.end(), samples.begin(), samples.end());
        return {};
    }

    /// The engine turns the rate into a threshold before the first row.
    Result<void> addPreset(ReuseCalibration& c, double rate) {
        GenerationRequest clip = reusing(m_options.clip, {c.polynomial.begin(), c.polynomial.end()});
        clip.prompt = m_options.prompts.front();
        clip.chunks.hitRate = rate;
        clip.chunks.warmup = -1;
        clip = withModelDefaults(std::move(clip), m_options.model.defaults);
        if (!checkRequest(clip, m_options.model).empty())
            return {}; // so few steps that none can be reused: no presets
        c.warmup = clip.chunks.warmup;
        const auto record = runUntilMap(clip);
        if (!record)
            return record.error();
        const auto& map = record->run->staticReuse;
        const auto reused = static_cast<double>(std::count(map.begin(), map.end(), true));
        c.presets.push_back(
            {rate, reused / static_cast<double>(map.size()), std::max(0.0, record->run->threshold)});
        return {};
    }

    Result<ChunkRecord> runUntilMap(const GenerationRequest& clip) {
        auto record = run(clip, [](const ChunkRecord& part) { return part.run.has_value(); });
        if (record && (!record->run || record->run->staticReuse.empty()))
            return makeError(ErrorCode::Internal, "The engine told no map of reused steps; see the log.");
        return record;
    }

    /// A clip's record, until `enough` of a part or the latents; what follows is not made.
    Result<ChunkRecord> run(const GenerationRequest& clip,
                            const std::function<bool(const ChunkRecord& part)>& enough) {
        if (m_stop.stop_requested())
            return stopped();
        ChunkRecord record;
        std::optional<Error> problem;
        bool complete = false;
        const auto end = [&] {
            complete = true;
            m_client.cancel(m_job);
        };
        OneJob::Events events;
        events.progress = [this](const protocol::Progress& p) { tell(p); };
        events.blob = [&](const client::BlobPtr& blob) {
            if (complete || problem)
                return;
            if (blob->info.kind == "latents")
                return end();
            if (blob->info.kind != "chunk_record")
                return;
            auto part = chunkRecordFromBytes(blob->bytes);
            if (!part) {
                problem = part.error();
                m_client.cancel(m_job);
                return;
            }
            const bool last = enough(*part);
            append(record, std::move(*part));
            if (last)
                end();
        };
        client::JobSubmission submission;
        submission.job = ++m_job;
        submission.kind = "generate";
        submission.request = toValue(clip);
        submission.model = toValue(m_options.model);
        submission.listener = m_listener;
        if (auto sent = m_client.submit(std::move(submission)); !sent)
            return sent.error();
        const client::JobOutcome outcome = m_listener->wait(m_job, m_client, m_stop, events);
        if (problem)
            return *problem;
        if (complete || outcome.end == client::JobEnd::Finished)
            return record;
        if (outcome.end == client::JobEnd::Cancelled)
            return stopped();
        return outcome.error;
    }

    Error stopped() const {
        return makeError(ErrorCode::Cancelled, "Stopped after " + std::to_string(m_prompt) + " of " +
                                                   std::to_string(m_options.prompts.size()) +
                                                   " prompts; the same command with --resume goes on.");
    }

    void tell(const protocol::Progress& p) const {
        if (!m_options.progress)
            return;
        ReuseCalibrationProgress out;
        out.prompt = m_prompt;
        out.prompts = m_options.prompts.size();
        double made = static_cast<double>(m_prompt - m_firstPrompt);
        if (p.stage == protocol::Stage::Denoise && p.units > 0) {
            out.unit = p.unit;
            out.units = p.units;
            made += static_cast<double>(p.unit) / p.units;
        }
        if (made > 0)
            out.remainingSeconds = (steadySeconds() - m_start) / made *
                                   (static_cast<double>(out.prompts - m_firstPrompt) - made);
        m_options.progress(out);
    }

    const ReuseCalibrationRunOptions m_options;
    LineJournal m_journal;
    const std::stop_token m_stop;
    std::vector<double> m_times; ///< changes of the time feature before each step
    std::vector<ChangeSample> m_samples;
    std::size_t m_prompt = 0; ///< next to be measured
    std::size_t m_firstPrompt = 0;
    double m_start = 0;
    const std::shared_ptr<OneJob> m_listener = std::make_shared<OneJob>();
    client::WorkerClient m_client;
    client::JobId m_job = 0;
};

} // namespace

Result<ReuseCalibration> runReuseCalibration(ReuseCalibrationRunOptions options, std::stop_token stop) {
    if (options.prompts.size() < kLeastReusePrompts)
        return makeError(ErrorCode::InvalidArgument,
                         std::to_string(options.prompts.size()) + " prompts were given; at least " +
                             std::to_string(kLeastReusePrompts) + " are needed for a fit that holds.");
    options.clip = measured(std::move(options.clip), options.model.defaults);
    for (const std::string& prompt : options.prompts) {
        GenerationRequest clip = options.clip;
        clip.prompt = prompt;
        if (const auto problems = checkRequest(clip, options.model); !problems.empty())
            return makeError(ErrorCode::InvalidArgument, problems.front());
    }
    std::error_code ignored;
    if (!options.resume && std::filesystem::exists(options.journal, ignored))
        return makeError(ErrorCode::Io, "An unfinished calibration lies in the way. Go on with --resume, or "
                                        "remove it to start anew: " +
                                            options.journal.string());
    options.worker.topics = {"chunks"};
    auto journal = LineJournal::open(options.journal, headOf(options),
                                     "An unfinished calibration of another model, size, steps or other "
                                     "prompts lies in the way; move it away or choose another --out");
    if (!journal)
        return journal.error();
    return Run(std::move(options), std::move(*journal), std::move(stop)).all();
}

} // namespace canopy::evaluation
