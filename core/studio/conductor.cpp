#include "core/studio/conductor.h"

#include <algorithm>
#include <cmath>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/formats/safetensors.h"
#include "core/job/model_value.h"
#include "core/job/settings_schema.h"
#include "core/studio/machine.h"
#include "core/studio/make_thumbnail.h"
#include "core/studio/memory_check.h"
#include "core/studio/read_clip.h"
#include "core/studio/studio_words.h"

#if CANOPY_HAS_MEDIA
#include "core/media/clip_metadata.h"
#include "core/media/image_reader.h"
#else
#include "core/base/value_codec.h"
#endif

namespace canopy {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxNotes = 100;
constexpr double kPublishSeconds = 1.0 / 30; ///< the window polls no faster
constexpr double kFinishSeconds = 30;        ///< how long closing waits for the file of a finished job
constexpr double kOtherProgramSeconds = 0.5; ///< how often another program's end is looked for

std::uint64_t planPeak(const Value& plan, DeviceKind device) {
    const auto read = memoryPlanFromValue(plan);
    return read ? read->peakBytes(device) : 0;
}

/// The first image as the worker takes it: decoded and cropped here, because it reads no image formats.
Result<void> writeImagePixels(const std::filesystem::path& image, const GenerationRequest& r,
                              const std::filesystem::path& to) {
#if CANOPY_HAS_MEDIA
    const auto read = media::readImage(image);
    if (!read)
        return read.error();
    const media::Frame fitted = media::resizedToFill(*read, r.width, r.height);
    const auto file =
        writeSafetensors({{"image",
                           DType::U8,
                           {static_cast<std::uint64_t>(r.height), static_cast<std::uint64_t>(r.width), 3},
                           fitted.rgb}});
    return writeFileAtomically(to, std::span<const std::uint8_t>(file));
#else
    (void)r, (void)to;
    return makeError(ErrorCode::Unsupported,
                     "This build has no picture support; leave the first image out: " + image.string());
#endif
}

} // namespace

// ---- Inbox
// ----------------------------------------------------------------------------------------------------

void Inbox::push(StudioEvent event) {
    {
        const std::lock_guard lock(m_mutex);
        m_events.push_back(std::move(event));
    }
    m_arrived.notify_one();
}

void Inbox::wake() {
    {
        const std::lock_guard lock(m_mutex);
        m_woken = true;
    }
    m_arrived.notify_one();
}

std::deque<StudioEvent> Inbox::wait(milliseconds atMost) {
    std::unique_lock lock(m_mutex);
    m_arrived.wait_for(lock, atMost, [&] { return m_woken || !m_events.empty(); });
    m_woken = false;
    return std::exchange(m_events, {});
}

void Inbox::jobResolved(JobId job, const Value& request, const Value& memoryPlan) {
    push(JobResolved{job, request, memoryPlan});
}
void Inbox::jobLatents(JobId job, client::BlobPtr latents) {
    push(JobLatents{job, std::move(latents)});
}
void Inbox::jobFrame(JobId job, client::BlobPtr frame) {
    push(JobFrame{job, std::move(frame)});
}
void Inbox::jobEnded(const client::JobOutcome& outcome) {
    push(outcome);
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
    m_client = std::make_unique<client::WorkerClient>(std::move(worker));
    if (!options.recordFile.empty()) {
        if (auto recorder = protocol::SessionWriter::create(options.recordFile); recorder) {
            m_recorder = *recorder;
            m_client->setRecorder(m_recorder);
        } else {
            note("The session is not recorded: " + recorder.error().message);
        }
    }
    const auto inbox = m_inbox;
    m_encoder =
        std::make_unique<ClipEncoder>([inbox](EncodeReport report) { inbox->push(std::move(report)); });
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
    while (m_active && m_active->finishing && steadySeconds() < deadline) {
        for (StudioEvent& event : m_inbox->wait(milliseconds(100)))
            take(std::move(event));
        settle();
    }
    m_client.reset(); // ends the worker
    if (m_recorder)
        if (auto finished = m_recorder->finish(); !finished)
            logError("studio", finished.error().message);
    if (m_active) {
        // Latents that arrived last are worth saving: they spare the whole denoising.
        for (StudioEvent& event : m_inbox->wait(milliseconds(0)))
            if (auto* latents = std::get_if<JobLatents>(&event); latents && latents->job == m_active->job.id)
                latentsArrived(latents->latents);
        m_encoder->abandon(!m_active->latentsSaved); // without latents the fragments are all that is left
        told(
            m_active->cancelAsked
                ? m_jobs.setCancelled(m_active->job.id)
                : m_jobs.setInterrupted(m_active->job.id,
                                        makeError(ErrorCode::Cancelled,
                                                  "The program was closed while this clip was being made.")));
    }
    m_encoder.reset();
}

void Conductor::run(std::stop_token stop) {
    while (!stop.stop_requested()) {
        if (!m_active && !m_held)
            startNext();
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
    ::unlink(latentsFile(job).c_str());
    ::unlink(imageFile(job).c_str());
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

std::filesystem::path Conductor::latentsFile(JobId job) const {
    return m_options.stateFolder / ("job-" + std::to_string(job) + ".latents.safetensors");
}

std::filesystem::path Conductor::imageFile(JobId job) const {
    return m_options.stateFolder / ("job-" + std::to_string(job) + ".image.safetensors");
}

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
        m_active.reset();
        const std::lock_guard lock(m_mutex);
        m_runningId = 0;
    }
}

Result<void> Conductor::start(JobRecord job) {
    Active active;
    active.startedAt = steadySeconds();
    auto model = m_options.findModel(job.request);
    if (!model)
        return model.error();
    active.model = std::move(*model);
    GenerationRequest r = withModelDefaults(job.request, active.model.defaults);
    if (const auto problems = checkRequest(r, active.model); !problems.empty())
        return makeError(ErrorCode::InvalidArgument, problems.front());

    if (job.target.file.empty() && ClipEncoder::writesVideo())
        job.target.file = m_options.clipFolder / (outputName(r.prompt, r.seed) + ".mp4");
    if (job.target.framesDir.empty() && !ClipEncoder::writesVideo())
        job.target.framesDir = m_options.clipFolder / (outputName(r.prompt, r.seed) + "-frames");
    // Asked before the work, not after it. The clip is far smaller than its raw pictures: a tenth is ample.
    const auto pixels = static_cast<std::uint64_t>(r.width) * static_cast<std::uint64_t>(r.height) *
                        static_cast<std::uint64_t>(r.frames);
    if (!job.target.file.empty())
        if (auto problem = folderProblem(job.target.file.parent_path(), pixels * 3 / 10))
            return *problem;
    if (!job.target.framesDir.empty())
        if (auto problem = folderProblem(job.target.framesDir, pixels * 3))
            return *problem;
    if (auto problem = folderProblem(m_options.stateFolder, pixels / 4))
        return *problem;
    if (auto problem = memoryProblem(planMemory(active.model, r), r, workerBytes()))
        return *problem;

    if (!r.imagePath.empty()) {
        r.imagePixelsPath = imageFile(job.id);
        if (auto written = writeImagePixels(r.imagePath, r, r.imagePixelsPath); !written)
            return written;
    }
    std::error_code ec;
    if (!job.latentsFile.empty() && std::filesystem::exists(job.latentsFile, ec)) {
        r.resumeLatentsPath = job.latentsFile;
        active.latentsSaved = true;
    }
    active.plannedBytes = planMemory(active.model, r).peakBytes(r.device);
    active.request = r;
    active.job = std::move(job);
    if (!m_workerStarted.exchange(true))
        m_client->start();
    m_restartAsked = false;
    client::JobSubmission submission;
    submission.job = active.job.id;
    submission.request = toValue(r);
    submission.model = toValue(active.model);
    submission.listener = m_inbox;
    m_active = std::move(active);
    return m_client->submit(std::move(submission));
}

void Conductor::take(StudioEvent event) {
    m_dirty = true;
    const auto isActive = [&](JobId job) { return m_active && m_active->job.id == job; };
    if (auto* resolved = std::get_if<JobResolved>(&event); resolved && isActive(resolved->job)) {
        auto request = generationRequestFromValue(resolved->request);
        if (!request) {
            note("The engine sent settings that cannot be read: " + request.error().message);
            return;
        }
        // Paths are ours, not the worker's.
        request->imagePath = m_active->request.imagePath;
        request->modelPath = m_active->request.modelPath;
        m_active->request = std::move(*request);
        if (const std::uint64_t peak = planPeak(resolved->memoryPlan, m_active->request.device); peak > 0)
            m_active->plannedBytes = peak;
        told(m_jobs.setResolved(resolved->job, m_active->request));
        told(m_jobs.setEpoch(resolved->job, m_client->snapshot()->worker.epoch));
    } else if (auto* latents = std::get_if<JobLatents>(&event); latents && isActive(latents->job)) {
        latentsArrived(latents->latents);
    } else if (auto* frame = std::get_if<JobFrame>(&event); frame && isActive(frame->job)) {
        frameArrived(frame->frame);
    } else if (auto* outcome = std::get_if<client::JobOutcome>(&event); outcome && isActive(outcome->job)) {
        m_active->outcome = std::move(*outcome);
    } else if (auto* report = std::get_if<EncodeReport>(&event); report && isActive(report->job)) {
        if (report->file)
            m_active->encoded = std::move(*report);
        else
            m_active->encodeError = report->file.error();
    }
}

void Conductor::latentsArrived(const client::BlobPtr& latents) {
    const auto file = latentsFile(m_active->job.id);
    auto written = writeFileAtomically(file, std::span<const std::uint8_t>(latents->bytes));
    if (written)
        written = m_jobs.setLatents(m_active->job.id, file);
    if (!written) { // the clip can still be made; only a crash now would cost the denoising
        logWarning("studio", "The finished calculation was not saved: " + written.error().message);
        return;
    }
    m_active->latentsSaved = true;
}

void Conductor::frameArrived(const client::BlobPtr& frame) {
    Active& a = *m_active;
    if (a.cancelAsked || a.encodeError)
        return;
    if (!a.encoderBegun) {
        a.encoderBegun = true;
        told(m_jobs.setEncoding(a.job.id));
        a.job.state = JobState::Encoding;
        m_encoder->begin({a.job.id, a.job.target.file, a.job.target.framesDir, metadataText({}),
                          jobTitle(a.request.prompt), frame->info.width, frame->info.height, a.request.fps,
                          frame->info.count});
    }
    m_encoder->frame(frame);
}

void Conductor::settle() {
    Active& a = *m_active;
    {
        const std::lock_guard lock(m_mutex);
        a.cancelAsked |= m_cancelAsked.contains(a.job.id);
    }
    if ((a.cancelAsked || a.encodeError) && !a.outcome && !a.cancelSent) {
        a.cancelSent = true;
        m_client->cancel(a.job.id);
    }
    if (!a.outcome)
        return;
    const client::JobOutcome& end = *a.outcome;
    if (a.encodeError)
        return fail(*a.encodeError);
    switch (end.end) {
    case client::JobEnd::Finished:
        if (!a.encoderBegun)
            return fail(
                makeError(ErrorCode::Internal, "The engine finished without a single frame; see the log."));
        if (!a.finishing) {
            a.finishing = true;
            m_encoder->finish(metadataText(end.summary));
        }
        if (a.encoded)
            succeed();
        return;
    case client::JobEnd::Failed:
        return fail(end.error);
    case client::JobEnd::Cancelled:
        m_encoder->abandon(false);
        forgetFiles(a.job.id);
        told(m_jobs.setCancelled(a.job.id));
        break;
    case client::JobEnd::Interrupted:
        m_encoder->abandon(!a.latentsSaved);
        if (a.cancelAsked) {
            forgetFiles(a.job.id);
            told(m_jobs.setCancelled(a.job.id));
        } else if (m_restartAsked) { // the person restarted the worker: the job is not to blame
            told(m_jobs.setInterrupted(a.job.id, end.error));
        } else if (auto state = m_jobs.setWorkerLost(a.job.id, end.error, a.latentsSaved); !state) {
            told(state.error());
        } else {
            note(end.error.message);
        }
        break;
    }
    m_active.reset();
    const std::lock_guard lock(m_mutex);
    m_runningId = 0;
}

void Conductor::succeed() {
    Active& a = *m_active;
    const std::filesystem::path file = *a.encoded->file;
    const Value summary = summaryWithTimes(a.outcome->summary);
    auto thumbnail = std::make_shared<Thumbnail>(std::move(a.encoded->thumbnail));
#if !CANOPY_HAS_MEDIA
    // Without a video the latents are part of the result.
    std::error_code ec;
    std::filesystem::copy_file(latentsFile(a.job.id), file / "latents.safetensors", ec);
    if (ec)
        note("The latents could not be kept beside the frames (" + ec.message() + "): " + file.string());
#endif
    const Result<void> done = m_jobs.setDone(a.job.id, file, summary);
    told(done);
    if (ClipEncoder::writesVideo()) {
        Clip clip;
        clip.file = file;
        clip.request = a.request;
        clip.modelLabel = a.model.defaults.label.empty() ? a.model.id : a.model.defaults.label;
        clip.makeSeconds = summary["make_seconds"].asDouble();
        clip.madeAtMillis = wallMillis();
        clip.thumbnail = *thumbnail;
        fillFileFacts(clip);
        if (auto added = m_clips.add(clip); !added)
            told(added.error()); // the clip is there; the next scan finds it
    }
    m_thumbnails[a.job.id] = std::move(thumbnail);
    if (done)
        forgetFiles(a.job.id);
    m_active.reset();
    const std::lock_guard lock(m_mutex);
    m_runningId = 0;
}

void Conductor::fail(const Error& error) {
    Active& a = *m_active;
    m_encoder->abandon(false);
    if (!a.request.resumeLatentsPath.empty() || !a.job.latentsFile.empty()) {
        // Saved latents that do not fit or are damaged would fail every retry: start anew the next time.
        const bool theirFault = error.code == ErrorCode::Mismatch || error.code == ErrorCode::Malformed;
        if (theirFault) {
            told(m_jobs.setLatents(a.job.id, {}));
            forgetFiles(a.job.id);
        }
    }
    if (a.cancelAsked && !a.encodeError)
        told(m_jobs.setCancelled(a.job.id));
    else
        told(m_jobs.setFailed(a.job.id, error));
    if (a.encodeError && error.code == ErrorCode::Io && !m_options.onlyReservedJobs) {
        // The next job would meet the same full disk.
        told(m_jobs.setQueuePaused(true));
        const std::lock_guard lock(m_mutex);
        m_pauseReason = error.message;
    }
    m_active.reset();
    const std::lock_guard lock(m_mutex);
    m_runningId = 0;
}

Value Conductor::summaryWithTimes(const Value& summary) const {
    Value v = summary.isMap() ? summary : Value{Value::Map{}};
    v.set("make_seconds", steadySeconds() - m_active->startedAt);
    return v;
}

std::string Conductor::metadataText(const Value& summary) const {
    const Active& a = *m_active;
    GenerationRequest stored = a.request;
    stored.modelPath.clear(); // the id says which; the path is this machine's business
    stored.resumeLatentsPath.clear();
    stored.imagePixelsPath.clear();
    const std::string label = a.model.defaults.label.empty() ? a.model.id : a.model.defaults.label;
#if CANOPY_HAS_MEDIA
    return media::toText(
        {toValue(stored), summaryWithTimes(summary), label, m_options.programVersion, wallMillis()});
#else
    Value v;
    v.set("request", toValue(stored)).set("summary", summaryWithTimes(summary)).set("model_label", label);
    return toJson(v, 1);
#endif
}

// ---- what is shown
// --------------------------------------------------------------------------------------------

JobProgress Conductor::progressOf(const client::ClientSnapshot& client) {
    Active& a = *m_active;
    JobProgress p;
    p.plannedBytes = a.plannedBytes;
    p.elapsedSeconds = steadySeconds() - a.startedAt;
    if (client.job && client.job->job == a.job.id) {
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
    if (a.finishing) {
        p.stage = protocol::Stage::Encode;
        p.unit = p.units = 0;
    }
    {
        const std::lock_guard lock(m_mutex);
        p.stopping |= m_cancelAsked.contains(a.job.id);
    }
    if (p.remainingSeconds > 0) {
        p.fraction = p.elapsedSeconds / (p.elapsedSeconds + p.remainingSeconds);
    } else {
        // Before the first measured unit: shares of a typical job, only so that the bar moves.
        constexpr double kStart[] = {0.0, 0.02, 0.04, 0.75, 0.98};
        constexpr double kShare[] = {0.02, 0.02, 0.71, 0.23, 0.02};
        const auto stage = static_cast<std::size_t>(p.stage);
        const double within =
            p.units > 0 ? (p.unit + (p.blocks > 0 ? double(p.block) / p.blocks : 0)) / p.units : 0;
        p.fraction = kStart[stage] + kShare[stage] * std::clamp(within, 0.0, 1.0);
    }
    a.fraction = p.fraction = std::clamp(std::max(a.fraction, p.fraction), 0.0, 1.0);
    return p;
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
    if (client->preview && client->preview != m_previewSeen && client->preview->blob) {
        m_previewSeen = client->preview;
        const client::Preview& p = *m_previewSeen;
        auto image = std::make_shared<PreviewImage>();
        *image = {p.job, p.step, p.width, p.height, p.frames, p.blob->bytes};
        const std::size_t one = static_cast<std::size_t>(p.width) * static_cast<std::size_t>(p.height) * 3;
        if (p.frames > 0 && p.blob->bytes.size() == one * static_cast<std::size_t>(p.frames)) {
            const std::size_t middle = static_cast<std::size_t>(p.frames / 2);
            m_thumbnails[p.job] = std::make_shared<Thumbnail>(
                makeThumbnail(std::span(p.blob->bytes).subspan(middle * one, one), p.width, p.height));
            m_preview = std::move(image);
        }
    }

    auto next = std::make_shared<StudioSnapshot>();
    next->jobs.reserve(m_rows.size());
    bool otherRuns = false;
    for (const JobRecord& record : m_rows) {
        JobRow row;
        row.record = record;
        row.title = jobTitle(record.request.prompt);
        const bool underWay = record.state == JobState::Running || record.state == JobState::Encoding;
        const bool here = m_active && m_active->job.id == record.id;
        if (here)
            row.progress = progressOf(*client);
        row.waitsForOther = underWay && !here;
        otherRuns |= row.waitsForOther;
        row.words = jobWords(record, row.progress ? &*row.progress : nullptr, m_paused);
        row.canCancel = record.state == JobState::Queued || (here && !row.progress->stopping);
        row.canRetry = isFinished(record.state) && record.state != JobState::Done;
        row.canRemove = !underWay;
        if (const auto it = m_thumbnails.find(record.id); it != m_thumbnails.end())
            row.thumbnail = it->second;
        next->jobs.push_back(std::move(row));
    }
    std::erase_if(m_thumbnails, [&](const auto& entry) {
        return std::none_of(m_rows.begin(), m_rows.end(),
                            [&](const JobRecord& r) { return r.id == entry.first; });
    });
    next->queuePaused = m_paused;
    next->running = m_active ? m_active->job.id : 0;
    next->preview = m_preview;
    next->libraryChanges = libraryChanges;
    next->worker = workerView(*client, m_workerStarted);
    next->client = client;
    next->notes = m_notes;
    if (otherRuns)
        if (auto other = m_jobs.otherRunner(); other && *other)
            next->otherProgram = "Another Canopy program (process " + std::to_string((**other).pid) +
                                 ") is making a clip; this one waits";
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
