#include "core/studio/conductor.h"

#include <algorithm>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/studio/answer_file.h"
#include "core/studio/ask_job.h"
#include "core/studio/generate_job.h"
#include "core/studio/make_thumbnail.h"
#include "core/studio/studio_words.h"

namespace canopy {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxNotes = 100;
constexpr double kPublishSeconds = 1.0 / 30; ///< the window polls no faster
constexpr double kFinishSeconds = 30;        ///< how long closing waits for the file of a finished job
constexpr double kOtherProgramSeconds = 0.5; ///< how often another program's end is looked for

} // namespace

std::unique_ptr<RunningJob> makeRunningJob(JobRecord record, const JobTools& tools) {
    if (record.question())
        return std::make_unique<AskJob>(std::move(record), tools);
    return std::make_unique<GenerateJob>(std::move(record), tools);
}

// ---- life
// -----------------------------------------------------------------------------------------------------

Conductor::Conductor(const StudioOptions& options, JobStore& jobs, ClipLibrary& clips,
                     std::vector<std::string> notes, std::string pauseReason)
    : m_options(options)
    , m_jobs(jobs)
    , m_clips(clips)
    , m_notes(std::move(notes))
    , m_pauseReason(std::move(pauseReason)) {
    client::WorkerClientOptions worker;
    worker.executable =
        options.workerProgram.empty() ? executableFolder() / "canopy-worker" : options.workerProgram;
    worker.environment = options.workerEnvironment;
    worker.stderrFile = options.stateFolder / "worker-stderr.log";
    worker.times = options.times;
    if (!options.attentionStatsFile.empty())
        worker.topics.emplace_back("attention_stats");
    if (!options.recordFile.empty()) { // what Inspect shows of a recording
        worker.topics.emplace_back("attention");
        worker.topics.emplace_back(kAllMasksTopic);
    }
    // A few numbers a row: clips of the command line have their timeline in the window, too.
    worker.topics.emplace_back("chunks");
    m_client = std::make_unique<client::WorkerClient>(std::move(worker));
    if (!options.recordFile.empty()) {
        if (auto recorder = protocol::SessionWriter::create(
                options.recordFile, {.level = options.recordLatents ? protocol::SessionLevel::State
                                                                    : protocol::SessionLevel::Masks});
            recorder) {
            m_recorder = *recorder;
            m_client->setRecorder(m_recorder);
        } else {
            note("The session is not recorded: " + recorder.error().message);
        }
    }
    const auto inbox = m_inbox;
    m_encoder =
        std::make_unique<ClipEncoder>([inbox](EncodeReport report) { inbox->push(std::move(report)); });
    m_sampler = std::make_unique<FrameSampler>(
        options.stateFolder, [inbox](SampleReport report) { inbox->push(std::move(report)); });
    m_tools = std::make_unique<JobTools>(
        JobTools{m_options, m_jobs, m_clips, *m_encoder, *m_sampler,
                 [this](std::string text) { note(std::move(text)); },
                 [this](const Result<void>& result) { told(result); }, [this] { return workerBytes(); },
                 [this](JobId job, auto thumbnail) { m_thumbnails[job] = std::move(thumbnail); },
                 [this](JobId job, auto tokens) { m_answered[job].run = std::move(tokens); }});
    m_probe = std::make_unique<ProbeRun>(m_options, m_jobs, *m_sampler, *m_client, inbox);
    if (options.startWorkerAtOnce) {
        m_workerStarted = true;
        m_client->start();
    }
    m_watcher = std::jthread([this](std::stop_token stop) {
        std::uint64_t seen = 0;
        while (!stop.stop_requested()) {
            const auto snapshot = m_client->waitForChange(seen, std::chrono::steady_clock::now() +
                                                                    std::chrono::milliseconds(200));
            if (snapshot->version != seen) {
                seen = snapshot->version;
                m_inbox->wake();
            }
        }
    });
    m_thread = std::jthread([this](std::stop_token stop) { run(stop); });
}

Conductor::~Conductor() {
    m_thread.request_stop();
    m_inbox->wake();
    m_thread.join();
    m_watcher.request_stop();
    m_watcher.join();
    // A clip whose frames are all there is finished, not thrown away: it takes a moment.
    const double deadline = steadySeconds() + kFinishSeconds;
    while (m_active && m_active->job->finishing() && steadySeconds() < deadline) {
        for (StudioEvent& event : m_inbox->wait(milliseconds(100)))
            take(std::move(event));
        settle();
    }
    m_client.reset(); // ends the worker
    if (m_recorder)
        if (auto finished = m_recorder->finish(); !finished)
            logError("studio", finished.error().message);
    if (m_active) {
        // What arrived last is worth saving: latents spare the whole denoising.
        for (StudioEvent& event : m_inbox->wait(milliseconds(0)))
            if (std::holds_alternative<JobBlob>(event))
                take(std::move(event));
        const JobId id = m_active->record.id;
        m_active->job->abandon(!m_active->cancelAsked);
        const std::string what =
            m_active->record.question() ? "question was being answered." : "clip was being made.";
        told(m_active->cancelAsked
                 ? m_jobs.setCancelled(id)
                 : m_jobs.setInterrupted(
                       id, makeError(ErrorCode::Cancelled, "The program was closed while this " + what)));
    }
    m_sampler.reset();
    m_encoder.reset();
}

void Conductor::run(std::stop_token stop) {
    while (!stop.stop_requested()) {
        if (!m_active && !m_held)
            startNext();
        std::optional<std::pair<JobId, int>> wish;
        {
            const std::lock_guard lock(m_mutex);
            wish = std::exchange(m_probeWish, std::nullopt);
        }
        if (wish) {
            m_probe->begin(wish->first, wish->second);
            m_dirty = true;
        }
        publish();
        // Another program's changes are noticed by looking; everything here wakes the inbox.
        auto events = m_inbox->wait(milliseconds(m_dirty ? 33 : 250));
        if (stop.stop_requested()) {
            for (StudioEvent& event : events) // keep what the destructor saves
                m_inbox->push(std::move(event));
            return;
        }
        for (StudioEvent& event : events)
            take(std::move(event));
        if (m_active)
            settle();
    }
}

// ---- thread-safe commands
// -------------------------------------------------------------------------------------

bool Conductor::cancelRunning(JobId job) {
    {
        const std::lock_guard lock(m_mutex);
        if (m_runningId != job)
            return false;
        m_cancelAsked.insert(job);
    }
    m_client->cancel(job); // at once, whatever the conductor is busy with
    m_dirty = true;
    wake();
    return true;
}

bool Conductor::pauseRunning(JobId job) {
    {
        const std::lock_guard lock(m_mutex);
        if (m_runningId != job)
            return false;
        m_pauseAsked.insert(job);
    }
    m_client->pause(job);
    m_dirty = true;
    wake();
    return true;
}

void Conductor::restartWorker() {
    m_restartAsked = true;
    m_workerStarted = true;
    m_client->restart();
    m_dirty = true;
    wake();
}

void Conductor::subscribe(std::vector<std::string> topics) {
    m_client->subscribe(std::move(topics));
}

void Conductor::queueResumed() {
    {
        const std::lock_guard lock(m_mutex);
        m_pauseReason.clear();
    }
    m_dirty = true;
    wake();
}

std::uint64_t Conductor::workerBytes() const {
    const auto snapshot = m_client->snapshot();
    return snapshot->heartbeat ? snapshot->heartbeat->residentBytes : 0;
}

void Conductor::forgetFiles(JobId job) {
    forgetJobFiles(m_options, job);
    ::unlink(answerFileOf(m_options.dataFolder, job).c_str());
    ::unlink(chunkFileOf(m_options, job).c_str());
    ::unlink(keptLatentsOf(m_options, job).c_str());
}

void Conductor::probe(JobId ask, int cell) {
    {
        const std::lock_guard lock(m_mutex);
        m_probeWish = std::pair(ask, cell);
    }
    wake();
}

std::shared_ptr<const StudioSnapshot> Conductor::snapshot() const {
    const std::lock_guard lock(m_mutex);
    return m_snapshot;
}

std::shared_ptr<const StudioSnapshot> Conductor::waitForChange(std::uint64_t seen,
                                                               milliseconds timeout) const {
    std::unique_lock lock(m_mutex);
    m_changed.wait_for(lock, timeout, [&] { return m_snapshot->sequence != seen; });
    return m_snapshot;
}

// ---- jobs
// -----------------------------------------------------------------------------------------------------

void Conductor::told(const Result<void>& result) {
    if (result)
        return;
    logError("studio", result.error().message);
    note(result.error().message);
}

void Conductor::note(std::string text) {
    if (m_notes.size() < kMaxNotes && (m_notes.empty() || m_notes.back() != text))
        m_notes.push_back(std::move(text));
    m_dirty = true;
}

void Conductor::startNext() {
    if (steadySeconds() - m_lookedForOthers > kOtherProgramSeconds) {
        m_lookedForOthers = steadySeconds();
        if (auto freed = m_jobs.releaseDeadOwners(false); freed && *freed > 0)
            m_dirty = true;
    }
    const auto client = m_client->snapshot();
    const bool stopped = m_workerStarted && client->worker.status == client::WorkerStatus::Stopped;
    // A stopped worker waits for the person. On the command line nobody is there to press Retry: the job
    // fails.
    if (stopped && !m_options.onlyReservedJobs)
        return;
    // Claimed and known as running in one step: a cancel finds the job either queued or here.
    const auto claim = [&] {
        const std::lock_guard lock(m_mutex);
        auto next = m_jobs.claimNext(client->worker.epoch, m_options.onlyReservedJobs);
        if (next && *next) {
            m_runningId = (**next).id;
            m_cancelAsked.clear();
            m_pauseAsked.clear();
        }
        return next;
    };
    auto job = claim();
    if (!job) {
        note(job.error().message);
        return;
    }
    if (!*job)
        return;
    m_dirty = true;
    const JobId id = (**job).id;
    Result<void> started = stopped
                               ? makeError(ErrorCode::WorkerLost, client->worker.sentence.empty()
                                                                      ? std::string("The engine is stopped.")
                                                                      : client->worker.sentence)
                               : start(std::move(**job));
    if (!started) {
        // Without a worker the job is not to blame: in the window it waits for Retry.
        const bool lost = started.error().code == ErrorCode::WorkerLost && !m_options.onlyReservedJobs;
        told(lost ? m_jobs.setInterrupted(id, started.error()) : m_jobs.setFailed(id, started.error()));
        endActive();
    }
}

Result<void> Conductor::start(JobRecord record) {
    Active active;
    active.startedAt = steadySeconds();
    active.job = makeRunningJob(record, *m_tools);
    active.record = std::move(record);
    if (active.record.clip())
        m_telemetry.begin(active.record.id);
    if (auto started = active.job->start(); !started)
        return started;
    m_restartAsked = false;
    m_active = std::move(active);
    return submitWhenReady();
}

Result<void> Conductor::submitWhenReady() {
    auto submission = m_active->job->submission();
    if (!submission)
        return {};
    m_active->submitted = true;
    if (!m_workerStarted.exchange(true))
        m_client->start();
    submission->listener = m_inbox;
    return m_client->submit(std::move(*submission));
}

void Conductor::take(StudioEvent event) {
    m_dirty = true;
    if (ProbeRun::owns(event))
        return m_probe->take(std::move(event));
    if (!m_active || jobOf(event) != m_active->record.id)
        return;
    if (auto* outcome = std::get_if<client::JobOutcome>(&event)) {
        m_active->outcome = std::move(*outcome);
        return;
    }
    if (takeTelemetry(event))
        return;
    // Frames that were under way when the person cancelled are not written.
    if (m_active->cancelAsked && std::holds_alternative<JobBlob>(event) &&
        std::get<JobBlob>(event).blob->info.kind == "frame")
        return;
    if (std::holds_alternative<JobResolved>(event))
        told(m_jobs.setEpoch(m_active->record.id, m_client->snapshot()->worker.epoch));
    m_active->job->take(std::move(event));
}

bool Conductor::takeTelemetry(const StudioEvent& event) {
    if (m_active->record.id != m_telemetry.job())
        return false;
    if (const auto* told = std::get_if<JobResolved>(&event)) {
        if (const auto request = generationRequestFromValue(told->request))
            m_telemetry.resolved(*request);
        return false;
    }
    if (const auto* attention = std::get_if<JobAttention>(&event)) {
        m_telemetry.step(attention->step);
        return true;
    }
    const auto* blob = std::get_if<JobBlob>(&event);
    if (!blob || blob->blob->info.kind != "attention_masks")
        return false;
    m_telemetry.masks(blob->blob->bytes);
    return true;
}

void Conductor::settle() {
    Active& a = *m_active;
    {
        const std::lock_guard lock(m_mutex);
        a.cancelAsked |= m_cancelAsked.contains(a.record.id);
        a.pauseAsked |= m_pauseAsked.contains(a.record.id);
    }
    const auto problem = a.job->problem();
    if (!a.submitted) {
        if (a.cancelAsked) {
            a.job->abandon(false);
            told(m_jobs.setCancelled(a.record.id));
            return endActive();
        }
        if (a.pauseAsked) {
            settlePaused();
            return endActive();
        }
        if (problem)
            return fail(*problem);
        if (auto sent = submitWhenReady(); !sent)
            fail(sent.error());
        return;
    }
    if ((a.cancelAsked || problem) && !a.outcome && !a.cancelSent) {
        a.cancelSent = true;
        m_client->cancel(a.record.id);
    } else if (a.pauseAsked && !a.outcome &&
               !a.pauseSent) { // the first may have come before the job was sent
        a.pauseSent = true;
        m_client->pause(a.record.id);
    }
    if (!a.outcome)
        return;
    if (problem)
        return fail(*problem);
    const client::JobOutcome& end = *a.outcome;
    switch (end.end) {
    case client::JobEnd::Finished: {
        const auto done = a.job->finish(end);
        if (!done)
            return fail(done.error());
        if (*done)
            endActive();
        return;
    }
    case client::JobEnd::Failed:
        return fail(end.error);
    case client::JobEnd::Cancelled:
        a.job->abandon(false);
        told(m_jobs.setCancelled(a.record.id));
        break;
    case client::JobEnd::Paused:
        if (a.cancelAsked) {
            a.job->abandon(false);
            told(m_jobs.setCancelled(a.record.id));
        } else {
            settlePaused();
        }
        break;
    case client::JobEnd::Interrupted:
        settleInterrupted(end.error);
        break;
    }
    endActive();
}

void Conductor::settlePaused() {
    told(m_jobs.setPaused(m_active->record.id, m_active->job->pause()));
}

void Conductor::settleInterrupted(const Error& error) {
    Active& a = *m_active;
    a.job->abandon(!a.cancelAsked);
    if (a.cancelAsked) {
        told(m_jobs.setCancelled(a.record.id));
    } else if (m_restartAsked) { // the person restarted the worker: the job is not to blame
        told(m_jobs.setInterrupted(a.record.id, error));
    } else if (a.pauseAsked) { // it goes on when the person says so
        if (auto state = m_jobs.setWorkerLost(a.record.id, error, true); !state)
            told(state.error());
        else if (*state == JobState::Queued)
            told(m_jobs.pauseQueued(a.record.id));
        note(error.message);
    } else if (auto state = m_jobs.setWorkerLost(a.record.id, error, a.job->resumable()); !state) {
        told(state.error());
    } else {
        note(error.message);
    }
}

void Conductor::fail(const Error& error) {
    Active& a = *m_active;
    const bool own = a.job->problem().has_value();
    a.job->failed(error);
    if (a.cancelAsked && !own)
        told(m_jobs.setCancelled(a.record.id));
    else
        told(m_jobs.setFailed(a.record.id, error));
    if (a.job->stopsQueue(error) && !m_options.onlyReservedJobs) {
        told(m_jobs.setQueuePaused(true));
        const std::lock_guard lock(m_mutex);
        m_pauseReason = error.message;
    }
    endActive();
}

void Conductor::endActive() {
    if (m_active && m_active->record.id == m_telemetry.job())
        m_telemetry.ended();
    takeChunks(); // its last rows may have come with its end
    m_active.reset();
    m_chunks.forecast = {};
    m_dirty = true;
    const std::lock_guard lock(m_mutex);
    m_runningId = 0;
}

void Conductor::takeChunks() {
    if (m_active)
        if (auto chunks = m_active->job->chunks())
            m_chunks = {m_active->record.id, std::move(chunks), m_active->job->forecast()};
}

// ---- what is shown
// --------------------------------------------------------------------------------------------

JobProgress Conductor::progressOf(const client::ClientSnapshot& client) {
    Active& a = *m_active;
    JobProgress p;
    p.plannedBytes = a.job->plannedBytes();
    p.elapsedSeconds = steadySeconds() - a.startedAt;
    if (client.job && client.job->job == a.record.id) {
        const protocol::Progress& w = client.job->progress;
        p.stage = w.stage;
        p.unit = w.unit;
        p.units = w.units;
        p.block = w.block;
        p.blocks = w.blocks;
        p.unitSeconds = w.unitSeconds;
        p.remainingSeconds = w.remainingSeconds;
        p.remainingSpread = w.remainingSpread;
        p.peakBytes = w.peakBytes;
        p.stopping = client.job->cancelling;
    }
    a.job->describe(p);
    {
        const std::lock_guard lock(m_mutex);
        p.stopping |= m_cancelAsked.contains(a.record.id);
        p.pausing = m_pauseAsked.contains(a.record.id);
    }
    if (p.remainingSeconds > 0) {
        p.fraction = p.elapsedSeconds / (p.elapsedSeconds + p.remainingSeconds);
    } else {
        p.fraction = a.job->roughFraction(p);
    }
    a.fraction = p.fraction = std::clamp(std::max(a.fraction, p.fraction), 0.0, 1.0);
    return p;
}

void Conductor::takePreview(const client::ClientSnapshot& client) {
    if (!client.preview || client.preview == m_previewSeen || !client.preview->blob)
        return;
    m_previewSeen = client.preview;
    const client::Preview& p = *m_previewSeen;
    auto image = std::make_shared<PreviewImage>();
    *image = {p.job, p.step, p.width, p.height, p.frames, p.blob->bytes};
    const std::size_t one = static_cast<std::size_t>(p.width) * static_cast<std::size_t>(p.height) * 3;
    if (p.frames > 0 && p.blob->bytes.size() == one * static_cast<std::size_t>(p.frames)) {
        const std::size_t middle = static_cast<std::size_t>(p.frames / 2);
        m_thumbnails[p.job] = std::make_shared<Thumbnail>(
            makeThumbnail(std::span(p.blob->bytes).subspan(middle * one, one), p.width, p.height));
        m_preview = std::move(image);
        if (p.job == m_telemetry.job())
            m_telemetry.preview(m_preview);
    }
}

JobRow Conductor::rowOf(const JobRecord& record, const client::ClientSnapshot& client) {
    JobRow row;
    row.record = record;
    row.title = jobTitle(record.clip() ? record.clip()->prompt : askTitle(*record.question()));
    const bool underWay = record.state == JobState::Running || record.state == JobState::Encoding;
    const bool here = m_active && m_active->record.id == record.id;
    if (here)
        row.progress = progressOf(client);
    row.waitsForOther = underWay && !here;
    row.words = jobWords(record, row.progress ? &*row.progress : nullptr, m_paused);
    const bool waits = record.state == JobState::Queued;
    row.canCancel = waits || record.state == JobState::Paused || (here && !row.progress->stopping);
    row.canPause =
        record.clip() &&
        (waits || (here && !row.progress->stopping && !row.progress->pausing && !m_active->job->finishing()));
    row.canResume = record.state == JobState::Paused;
    row.canRetry = isFinished(record.state) && record.state != JobState::Done;
    row.canRemove = !underWay;
    if (const auto it = m_thumbnails.find(record.id); it != m_thumbnails.end())
        row.thumbnail = it->second;
    return row;
}

AskView Conductor::askOf(const JobRow& row) {
    AskView view;
    view.id = row.record.id;
    view.state = row.record.state;
    view.request = *row.record.question();
    view.words = row.words;
    if (m_active && m_active->record.id == view.id) {
        m_active->job->describe(view);
    } else if (view.state == JobState::Done) {
        Answered& kept = m_answered[view.id];
        if (!kept.answer)
            if (auto answer = answerFromValue(row.record.summary))
                kept.answer = std::move(*answer);
        view.answer = kept.answer;
        view.run = kept.run;
        view.elapsedSeconds = row.record.summary["make_seconds"].asDouble();
        if (view.answer)
            view.text = view.answer->text;
    }
    return view;
}

void Conductor::publish() {
    const auto client = m_client->snapshot();
    if (m_jobs.changeCounter() != m_rowsSeen) {
        m_rowsSeen = m_jobs.changeCounter();
        auto rows = m_jobs.all();
        auto paused = m_jobs.queuePaused();
        if (rows)
            m_rows = std::move(*rows);
        else
            note(rows.error().message);
        if (paused)
            m_paused = *paused;
        m_dirty = true;
    }
    const std::uint64_t libraryChanges = m_clips.changeCounter();
    if (client->version != m_clientSeen || m_snapshot->libraryChanges != libraryChanges)
        m_dirty = true;
    if (!m_dirty || (m_publishedAt > 0 && steadySeconds() - m_publishedAt < kPublishSeconds))
        return;
    m_dirty = false;
    m_clientSeen = client->version;
    m_publishedAt = steadySeconds();

    if (client->worker.status == client::WorkerStatus::Restarting &&
        client->worker.sentence != m_workerSentence && !client->worker.sentence.empty())
        note(client->worker.sentence);
    m_workerSentence = client->worker.sentence;
    takePreview(*client);

    auto next = std::make_shared<StudioSnapshot>();
    next->jobs.reserve(m_rows.size());
    bool otherRuns = false;
    for (const JobRecord& record : m_rows) {
        JobRow row = rowOf(record, *client);
        otherRuns |= row.waitsForOther;
        if (record.question())
            next->asks.push_back(askOf(row));
        next->jobs.push_back(std::move(row));
    }
    const auto gone = [&](const auto& entry) {
        return std::none_of(m_rows.begin(), m_rows.end(),
                            [&](const JobRecord& r) { return r.id == entry.first; });
    };
    std::erase_if(m_thumbnails, gone);
    std::erase_if(m_answered, gone);
    next->probe = m_probe->newest();
    next->queuePaused = m_paused;
    next->running = m_active ? m_active->record.id : 0;
    next->preview = m_preview;
    takeChunks();
    next->grown = m_active ? m_active->job->grown() : nullptr;
    next->chunks = m_chunks;
    next->telemetry = m_telemetry.current();
    next->libraryChanges = libraryChanges;
    next->worker = workerView(*client, m_workerStarted);
    next->client = client;
    next->notes = m_notes;
    if (otherRuns)
        if (auto other = m_jobs.otherRunner(); other && *other)
            next->otherProgram = "Another Canopy program (process " + std::to_string((**other).pid) +
                                 ") is at work; this one waits";
    {
        const std::lock_guard lock(m_mutex);
        if (m_paused)
            next->pauseReason = m_pauseReason;
        else if (next->worker.state == WorkerState::Stopped)
            next->pauseReason = next->worker.words;
        next->sequence = m_snapshot->sequence + 1;
        m_snapshot = std::move(next);
    }
    m_changed.notify_all();
}

} // namespace canopy
