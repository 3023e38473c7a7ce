#include "core/evaluation/calibration_run.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/clock.h"
#include "core/base/value_codec.h"
#include "core/evaluation/line_journal.h"
#include "core/evaluation/one_job.h"
#include "core/job/model_value.h"

namespace canopy::evaluation {
namespace {

/// Share of pairs that each head skipped, [layer][head].
using SparsityTable = std::vector<std::vector<double>>;

/// What the measurements depend on.
Value headOf(const CalibrationRunOptions& o) {
    CalibrationRequest request = o.request;
    request.prompts.clear();
    request.measured.clear();
    request.clip.threads = 0; // may differ between the slices of a run
    request.clip.modelPath.clear();
    Value head;
    head.set("version", 1).set("calibration", toValue(request)).set("model", o.model.id);
    head.set("prompts_hash", hashOf(o.request.prompts)).set("check_hash", hashOf({o.checkPrompt}));
    return head;
}

double meanOf(const SparsityTable& table) {
    double sum = 0;
    std::size_t count = 0;
    for (const auto& row : table)
        for (const double v : row) {
            sum += v;
            ++count;
        }
    return sum / static_cast<double>(std::max<std::size_t>(count, 1));
}

/// From attention statistics: the mean over all sparse calls of each head.
SparsityTable realisedFrom(const Value& stats, const DitConfig& dit) {
    const auto heads = static_cast<std::size_t>(dit.heads);
    SparsityTable skipped(static_cast<std::size_t>(dit.layers), std::vector<double>(heads, 0));
    std::vector<int> calls(skipped.size(), 0);
    for (const Value& call : stats["calls"].asArray()) {
        const auto layer = static_cast<std::size_t>(call["layer"].asInt(-1));
        const auto& kept = call["kept"].asArray();
        if (layer >= skipped.size() || kept.size() != heads)
            continue;
        ++calls[layer];
        for (std::size_t h = 0; h < heads; ++h)
            skipped[layer][h] += 1 - kept[h].asDouble();
    }
    for (std::size_t layer = 0; layer < skipped.size(); ++layer)
        for (double& sum : skipped[layer])
            sum = std::clamp(sum / std::max(1, calls[layer]), 0.0, 1.0);
    return skipped;
}

Value tableValue(const SparsityTable& table) {
    Value::Array rows;
    for (const auto& row : table)
        rows.emplace_back(Value::Array(row.begin(), row.end()));
    return rows;
}

class Run {
public:
    Run(CalibrationRunOptions options, LineJournal journal, std::stop_token stop)
        : m_options(std::move(options))
        , m_journal(std::move(journal))
        , m_stop(std::move(stop))
        , m_client(m_options.worker) {
        for (const Value& line : m_journal.lines()) {
            if (line.contains("check"))
                m_checks[line["check"].asString() == "shared"] = line["sparsity"];
            else if (auto measurement = headMeasurementFromValue(line))
                m_measured.push_back(std::move(*measurement));
        }
        const CalibrationRequest& r = m_options.request;
        for (const auto& layer : calibrationSamples(m_options.model.dit.layers, m_options.model.dit.heads,
                                                    static_cast<int>(r.prompts.size()), r.clip.steps,
                                                    r.clip.attention.warmup, r.clip.seed))
            for (const HeadSample& sample : layer)
                m_samples += sample.steps.size();
    }

    Result<AttentionCalibration> all() {
        m_client.start();
        if (m_measured.size() < m_samples)
            if (auto done = measure(); !done)
                return done.error();
        auto calibration = calibrationFrom(m_options.request, m_options.model, m_measured);
        if (!calibration || m_options.checkPrompt.empty())
            return calibration;
        for (const bool shared : {false, true})
            if (auto done = check(*calibration, shared); !done)
                return done.error();
        return calibration;
    }

private:
    Result<void> measure() {
        CalibrationRequest request = m_options.request;
        for (const HeadMeasurement& m : m_measured)
            request.measured.insert(request.measured.end(), {m.layer, m.head, m.step});
        std::optional<Error> problem;
        OneJob::Events events;
        events.progress = [this](const protocol::Progress& p) { tell(p); };
        events.blob = [&](const client::BlobPtr& blob) {
            if (problem)
                return;
            if (auto kept = keep(*blob); !kept) {
                problem = kept.error();
                m_client.cancel(m_job);
            }
        };
        const auto outcome = run("calibrate", toValue(request), events);
        if (problem)
            return *problem;
        return outcome;
    }

    Result<void> keep(const client::ReceivedBlob& blob) {
        const auto value = parseCbor(blob.bytes);
        if (!value)
            return value.error();
        auto measurement = headMeasurementFromValue(*value);
        if (!measurement)
            return measurement.error();
        if (auto added = m_journal.add(toValue(*measurement)); !added)
            return added;
        m_measured.push_back(std::move(*measurement));
        return {};
    }

    Result<void> check(AttentionCalibration& c, bool shared) {
        Value& table = m_checks[shared];
        if (table.isNull()) {
            GenerationRequest clip = m_options.request.clip;
            clip.prompt = m_options.checkPrompt;
            clip.attention = c.host;
            if (!shared)
                clip.attention.headTau = c.thresholds();
            Value stats;
            OneJob::Events events;
            events.progress = [this](const protocol::Progress& p) { tell(p); };
            events.blob = [&](const client::BlobPtr& blob) {
                if (blob->info.kind != "attention_stats")
                    return;
                const std::string text(blob->bytes.begin(), blob->bytes.end());
                CodecLimits limits;
                limits.maxBytes = limits.maxValues = std::size_t{1} << 30;
                if (auto read = parseJson(text, limits))
                    stats = std::move(*read);
            };
            if (auto done = run("generate", toValue(clip), events); !done)
                return done;
            if (stats["calls"].asArray().empty())
                return makeError(ErrorCode::Internal, "The engine told no statistics of the check clip.");
            table = tableValue(realisedFrom(stats, m_options.model.dit));
            Value line;
            line.set("check", shared ? "shared" : "heads").set("sparsity", table);
            if (auto added = m_journal.add(line); !added)
                return added;
        }
        SparsityTable realised;
        for (const Value& row : table.asArray()) {
            realised.emplace_back();
            for (const Value& v : row.asArray())
                realised.back().push_back(v.asDouble());
        }
        (shared ? c.realisedSharedSparsity : c.realisedSparsity) = meanOf(realised);
        for (std::size_t l = 0; !shared && l < c.heads.size(); ++l)
            for (std::size_t h = 0; h < c.heads[l].size(); ++h)
                c.heads[l][h].realisedSparsity = realised.at(l).at(h);
        return {};
    }

    Result<void> run(const char* kind, Value request, const OneJob::Events& events) {
        if (m_stop.stop_requested())
            return stopped();
        m_stageSince.reset();
        client::JobSubmission submission;
        submission.job = ++m_job;
        submission.kind = kind;
        submission.request = std::move(request);
        submission.model = toValue(m_options.model);
        submission.listener = m_listener;
        if (auto sent = m_client.submit(std::move(submission)); !sent)
            return sent;
        const client::JobOutcome outcome = m_listener->wait(m_job, m_client, m_stop, events);
        if (outcome.end == client::JobEnd::Finished)
            return {};
        if (outcome.end == client::JobEnd::Cancelled)
            return stopped();
        return outcome.error;
    }

    Error stopped() const {
        return makeError(ErrorCode::Cancelled, "Stopped after " + std::to_string(m_measured.size()) + " of " +
                                                   std::to_string(m_samples) +
                                                   " measurements; the same command with --resume goes on.");
    }

    void tell(const protocol::Progress& p) {
        if (!m_options.progress)
            return;
        CalibrationProgress out;
        out.stage = protocol::stageName(p.stage);
        out.unit = p.unit;
        out.units = p.units;
        out.measured = m_measured.size();
        out.samples = m_samples;
        if (p.stage == protocol::Stage::Calibrate) {
            const double now = steadySeconds();
            if (!m_stageSince)
                m_stageSince = {now, p.unit};
            const auto [since, first] = *m_stageSince;
            if (p.unit > first)
                out.remainingSeconds = (now - since) / (p.unit - first) * (p.units - p.unit);
        } else if (m_measured.size() == m_samples) {
            out.stage = "check";
        }
        m_options.progress(out);
    }

    const CalibrationRunOptions m_options;
    LineJournal m_journal;
    const std::stop_token m_stop;
    std::vector<HeadMeasurement> m_measured;
    std::size_t m_samples = 0;
    Value m_checks[2]; ///< of the head's thresholds, of the shared one
    const std::shared_ptr<OneJob> m_listener = std::make_shared<OneJob>();
    client::WorkerClient m_client;
    client::JobId m_job = 0;
    std::optional<std::pair<double, int>> m_stageSince; ///< when measuring began, at which unit
};

} // namespace

Result<AttentionCalibration> runCalibration(CalibrationRunOptions options, std::stop_token stop) {
    std::error_code ignored;
    if (!options.resume && std::filesystem::exists(options.journal, ignored))
        return makeError(ErrorCode::Io, "An unfinished calibration lies in the way. Go on with --resume, or "
                                        "remove it to start anew: " +
                                            options.journal.string());
    if (const auto problems = checkCalibration(options.request, options.model); !problems.empty())
        return makeError(ErrorCode::InvalidArgument, problems.front());
    options.worker.topics = {"attention_stats"};
    auto journal =
        LineJournal::open(options.journal, headOf(options),
                          "An unfinished calibration of another model, size, host or other prompts "
                          "lies in the way; move it away or choose another --out");
    if (!journal)
        return journal.error();
    return Run(std::move(options), std::move(*journal), std::move(stop)).all();
}

} // namespace canopy::evaluation
