#include "core/studio/studio.h"

#include "core/base/files.h"
#include "core/base/log.h"
#include "core/job/ask_plan.h"
#include "core/job/own_reuse.h"
#include "core/job/settings_schema.h"
#include "core/studio/answer_file.h"
#include "core/studio/base_clip.h"
#include "core/studio/clip_encoder.h"
#include "core/studio/clip_state.h"
#include "core/studio/conductor.h"
#include "core/studio/memory_check.h"
#include "core/studio/read_clip.h"
#include "core/studio/running_job.h"

namespace canopy {
namespace {

std::string oneALine(const std::vector<std::string>& sentences) {
    std::string text;
    for (const std::string& sentence : sentences)
        text += (text.empty() ? "" : "\n") + sentence;
    return text;
}

/// The job that a file is the saved state of, or whose recording it is; null = none in the list. A recording
/// holds no state of its own, since the newest alone counts.
const JobRecord* jobOfState(const std::filesystem::path& file, const std::vector<JobRecord>& jobs,
                            const StudioOptions& options) {
    std::error_code ec;
    const auto recorded = recordedJob(file);
    for (const JobRecord& job : jobs) {
        const auto state = stateFileOf(options, job.id);
        if (std::filesystem::equivalent(file, state, ec))
            return &job;
        const auto* clip = job.clip();
        const bool same = recorded && recorded->job == job.id && clip &&
                          clip->prompt == recorded->request.prompt && clip->seed == recorded->request.seed;
        const bool unfinished = job.state == JobState::Interrupted || job.state == JobState::Paused ||
                                job.state == JobState::Failed || job.state == JobState::Quarantined;
        if (same && unfinished)
            return &job;
    }
    return nullptr;
}

} // namespace

struct Studio::Impl {
    StudioOptions options;
    std::unique_ptr<JobStore> jobs;
    std::unique_ptr<ClipLibrary> clips;
    std::unique_ptr<Conductor> conductor;
    std::mutex scanMutex; ///< guards the start of a scan
    std::jthread scanner; ///< last: it uses the library
};

Studio::Studio(std::unique_ptr<Impl> impl)
    : m_impl(std::move(impl)) {}

Studio::~Studio() {
    if (!m_impl->options.onlyReservedJobs)
        return;
    // Nobody waits any more for what the command line had asked for: it must not run in the window later.
    m_impl->conductor->holdQueue();
    const auto jobs = m_impl->jobs->all();
    if (!jobs)
        return;
    for (const JobRecord& job : *jobs)
        if (job.state == JobState::Queued && job.target.reserved && job.owner == currentProcess())
            if (auto cancelled = m_impl->jobs->cancelQueued(job.id); !cancelled)
                logWarning("studio", cancelled.error().message);
}

bool Studio::hasMedia() {
    return ClipEncoder::writesVideo();
}

Result<std::unique_ptr<Studio>> Studio::open(StudioOptions options) {
    if (options.dataFolder.empty())
        options.dataFolder = dataFolder();
    if (options.stateFolder.empty())
        options.stateFolder = stateFolder();
    if (options.clipFolder.empty())
        options.clipFolder = clipFolder();
    std::error_code ec;
    std::filesystem::create_directories(options.stateFolder,
                                        ec); // a failure shows at the first job, in words

    auto impl = std::make_unique<Impl>();
    JobStoreReport report;
    auto jobs = JobStore::open(options.dataFolder / "jobs.sqlite3", &report);
    if (!jobs)
        return jobs.error();
    impl->jobs = std::move(*jobs);
    bool rebuild = false;
    auto clips = ClipLibrary::open(options.dataFolder / "clips.sqlite3", &rebuild);
    if (!clips)
        return clips.error();
    impl->clips = std::move(*clips);

    std::vector<std::string> notes;
    std::string pauseReason;
    if (!report.note.empty())
        notes.push_back(report.note);
    if (report.interrupted > 0) {
        pauseReason = "Canopy was not closed properly and " +
                      (report.interrupted == 1 ? std::string("a job was")
                                               : std::to_string(report.interrupted) + " jobs were") +
                      " interrupted; resume the queue to go on.";
        notes.push_back(pauseReason);
    }
    // What was written when a program died. Only told: it may be another program's that still writes.
    if (report.interrupted > 0)
        for (std::filesystem::directory_iterator it(options.clipFolder, ec), end; !ec && it != end;
             it.increment(ec))
            if (it->path().extension() == ".part")
                notes.push_back("An unfinished video was left: " + it->path().string());

    impl->options = std::move(options);
    impl->conductor = std::make_unique<Conductor>(impl->options, *impl->jobs, *impl->clips, std::move(notes),
                                                  std::move(pauseReason));
    std::unique_ptr<Studio> studio(new Studio(std::move(impl)));
    if (rebuild)
        studio->rescanLibrary();
    return studio;
}

StartCheck Studio::check(const GenerationRequest& request, const JobTarget& target) const {
    StartCheck check;
    check.request = request;
    if (!target.file.empty() && target.file.extension() != ".mp4")
        check.problems.push_back("The clip's name must end in .mp4: " + target.file.string());
    auto model = m_impl->options.findModel(request);
    if (!model) {
        check.problems.push_back(model.error().message);
        return check;
    }
    check.request = withModelDefaults(request, model->defaults);
    if (auto taken = takeReuseCalibration(check.request, *model); !taken) {
        check.problems.push_back(taken.error().message);
        return check;
    }
    const auto wrong = checkRequest(check.request, *model);
    check.problems.insert(check.problems.begin(), wrong.begin(), wrong.end());
    if (auto problem = reuseProblem(check.request, model->defaults); !problem.empty())
        check.problems.push_back(std::move(problem));
    if (!check.problems.empty())
        return check;
    if (auto problem = baseProblem(m_impl->options, *m_impl->jobs, check.request)) {
        check.problems.push_back(problem->message);
        return check;
    }
    check.plan = planMemory(*model, check.request);
    const std::uint64_t held = m_impl->conductor->workerBytes();
    check.budgetBytes = memoryBudget(check.request, held);
    if (auto problem = memoryProblem(check.plan, check.request, held))
        check.problems.push_back(problem->message);
    return check;
}

Result<JobId> Studio::generate(const GenerationRequest& request, const JobTarget& target) {
    const StartCheck checked = check(request, target);
    if (!checked.problems.empty())
        return makeError(ErrorCode::InvalidArgument, oneALine(checked.problems));
    JobTarget wanted = target;
    wanted.reserved |= m_impl->options.onlyReservedJobs;
    auto id = m_impl->jobs->append(checked.request, wanted);
    m_impl->conductor->wake();
    return id;
}

AskCheck Studio::checkAsk(const AskRequest& request) const {
    AskCheck check;
    check.request = request;
    if (!m_impl->options.findQaModel) {
        check.problems.push_back("This program asks no questions about videos.");
        return check;
    }
    auto model = m_impl->options.findQaModel(request);
    if (!model) {
        check.problems.push_back(model.error().message);
        return check;
    }
    check.request = withModelDefaults(request, *model);
    check.problems = canopy::checkAsk(check.request, *model);
    if (!check.problems.empty())
        return check;
    const bool half =
        check.request.precision == Precision::BFloat16 ||
        (check.request.precision == Precision::Auto && check.request.device == DeviceKind::Cuda);
    check.videoTokens = plannedVideoTokens(*model, check.request);
    check.unprunedTokens = videoLayout(*model, check.request).tokens();
    const std::int64_t prompt = check.videoTokens + kPlannedTextTokens;
    check.kvBytes = static_cast<std::uint64_t>(prompt) * kvBytesPerToken(model->language, half ? 2 : 4);
    check.flop = prefillFlop(model->language, prompt);
    check.plan = planMemory(*model, check.request, check.videoTokens);
    const std::uint64_t held = m_impl->conductor->workerBytes();
    check.budgetBytes = memoryBudget(check.request, held);
    if (auto problem = memoryProblem(check.plan, check.request, held))
        check.problems.push_back(problem->message);
    return check;
}

Result<JobId> Studio::ask(const AskRequest& request, const JobTarget& target) {
    const AskCheck checked = checkAsk(request);
    if (!checked.problems.empty())
        return makeError(ErrorCode::InvalidArgument, oneALine(checked.problems));
    JobTarget wanted = target;
    wanted.reserved |= m_impl->options.onlyReservedJobs;
    auto id = m_impl->jobs->append(checked.request, wanted);
    m_impl->conductor->wake();
    return id;
}

Result<std::shared_ptr<const TokenRun>> Studio::tokenRun(JobId id) const {
    const auto snapshot = m_impl->conductor->snapshot();
    if (const AskView* view = snapshot->findAsk(id); view && view->run)
        return view->run;
    const auto job = m_impl->jobs->find(id);
    if (!job)
        return job.error();
    if (!*job || !(*job)->question() || (*job)->resultFile.empty())
        return makeError(ErrorCode::NotFound, "Question " + std::to_string(id) + " has no answer yet.");
    return readAnswerFile((*job)->resultFile);
}

Result<std::shared_ptr<const ChunkRecord>> Studio::chunkRecord(JobId id) const {
    const auto snapshot = m_impl->conductor->snapshot();
    if (snapshot->chunks.job == id && snapshot->chunks.record)
        return snapshot->chunks.record;
    constexpr std::size_t kMostBytes = std::size_t{256} << 20;
    const auto bytes = readFile(chunkFileOf(m_impl->options, id), kMostBytes);
    if (!bytes)
        return makeError(ErrorCode::NotFound,
                         "No record of this clip's chunks was kept: clips made in one go "
                         "have none, and job " +
                             std::to_string(id) + " may not be done.");
    auto record = chunkRecordFromBytes(*bytes);
    if (!record)
        return record.error();
    return std::shared_ptr<const ChunkRecord>(std::make_shared<ChunkRecord>(std::move(*record)));
}

void Studio::probe(JobId ask, int cell) {
    m_impl->conductor->probe(ask, cell);
}

Result<void> Studio::cancel(JobId id) {
    if (m_impl->conductor->cancelRunning(id))
        return {};
    auto cancelled = m_impl->jobs->cancelQueued(id);
    if (cancelled)
        m_impl->conductor->forgetUnfinished(id);
    // It may have been started between the two looks.
    if (!cancelled && m_impl->conductor->cancelRunning(id))
        return {};
    m_impl->conductor->wake();
    return cancelled;
}

Result<void> Studio::pauseJob(JobId id) {
    const auto job = m_impl->jobs->find(id);
    if (!job)
        return job.error();
    if (!*job || !(*job)->clip())
        return makeError(ErrorCode::InvalidArgument, "Only clips can be paused; questions take a moment.");
    if (m_impl->conductor->pauseRunning(id))
        return {};
    auto paused = m_impl->jobs->pauseQueued(id);
    // It may have been started between the two looks.
    if (!paused && m_impl->conductor->pauseRunning(id))
        return {};
    m_impl->conductor->wake();
    return paused;
}

Result<void> Studio::resumeJob(JobId id) {
    auto done = m_impl->jobs->resumePaused(id);
    m_impl->conductor->wake();
    return done;
}

Result<JobId> Studio::resumeClip(const std::filesystem::path& file, JobTarget target) {
    const bool reserve = m_impl->options.onlyReservedJobs;
    const bool named = !target.file.empty() || !target.framesDir.empty();
    const auto jobs = m_impl->jobs->all();
    if (!jobs)
        return jobs.error();
    if (const JobRecord* job = jobOfState(file, *jobs, m_impl->options)) {
        if (named)
            return makeError(
                ErrorCode::InvalidArgument,
                "This clip is a job in the list, whose place is decided: " +
                    (job->target.file.empty() ? std::string("the clip folder") : job->target.file.string()) +
                    ". Leave the new place out.");
        // Without a state (it was stopped too early for one) the job begins anew.
        const auto state = stateFileOf(m_impl->options, job->id);
        if (std::error_code ec; std::filesystem::exists(state, ec))
            if (auto whole = readClipState(state); !whole)
                return whole.error();
        if (auto queued = m_impl->jobs->requeue(job->id, reserve); !queued)
            return queued.error();
        m_impl->conductor->wake();
        return job->id;
    }
    auto saved = readClipState(file);
    if (!saved)
        return saved.error();
    if (!named)
        target = saved->target;
    const StartCheck checked = check(saved->request);
    if (!checked.problems.empty())
        return makeError(ErrorCode::InvalidArgument, oneALine(checked.problems));
    // Not to be claimed before its state is there.
    const auto id = m_impl->jobs->appendPaused(checked.request, target);
    if (!id)
        return id;
    saved->target = target;
    auto ready = writeClipState(stateFileOf(m_impl->options, *id), *saved);
    if (ready)
        ready = m_impl->jobs->requeue(*id, reserve);
    if (!ready) {
        (void)m_impl->jobs->remove(*id);
        m_impl->conductor->forgetFiles(*id);
        return ready.error();
    }
    m_impl->conductor->wake();
    return id;
}

Result<void> Studio::retry(JobId id) {
    auto done = m_impl->jobs->retry(id);
    m_impl->conductor->wake();
    return done;
}

Result<JobId> Studio::duplicate(JobId id) {
    auto copy = m_impl->jobs->duplicate(id);
    m_impl->conductor->wake();
    return copy;
}

Result<void> Studio::remove(JobId id) {
    auto done = m_impl->jobs->remove(id);
    if (done)
        m_impl->conductor->forgetFiles(id);
    m_impl->conductor->wake();
    return done;
}

Result<int> Studio::clearFinished() {
    const auto before = m_impl->jobs->all();
    auto cleared = m_impl->jobs->clearFinished();
    if (before && cleared)
        for (const JobRecord& job : *before)
            if (auto still = m_impl->jobs->find(job.id); still && !*still)
                m_impl->conductor->forgetFiles(job.id);
    m_impl->conductor->wake();
    return cleared;
}

Result<void> Studio::moveBefore(JobId id, JobId before) {
    auto done = m_impl->jobs->move(id, before);
    m_impl->conductor->wake();
    return done;
}

Result<void> Studio::pauseQueue() {
    auto done = m_impl->jobs->setQueuePaused(true);
    m_impl->conductor->wake();
    return done;
}

Result<void> Studio::resumeQueue() {
    if (auto queued = m_impl->jobs->requeueInterrupted(); !queued)
        return queued.error();
    auto done = m_impl->jobs->setQueuePaused(false);
    m_impl->conductor->queueResumed();
    return done;
}

void Studio::restartWorker() {
    m_impl->conductor->restartWorker();
}

std::shared_ptr<const StudioSnapshot> Studio::snapshot() const {
    return m_impl->conductor->snapshot();
}

std::shared_ptr<const StudioSnapshot> Studio::waitForChange(std::uint64_t seen,
                                                            std::chrono::milliseconds timeout) const {
    return m_impl->conductor->waitForChange(seen, timeout);
}

void Studio::subscribe(std::vector<std::string> topics) {
    m_impl->conductor->subscribe(std::move(topics));
}

std::vector<Clip> Studio::clips(std::string_view search, bool starredOnly) const {
    auto list = m_impl->clips->clips(search, starredOnly);
    if (list)
        return std::move(*list);
    logError("studio", list.error().message);
    return {};
}

Result<void> Studio::setStarred(std::int64_t clip, bool starred) {
    auto done = m_impl->clips->setStarred(clip, starred);
    m_impl->conductor->wake();
    return done;
}

Result<void> Studio::forgetClip(std::int64_t clip) {
    auto done = m_impl->clips->forget(clip);
    m_impl->conductor->wake();
    return done;
}

std::filesystem::path Studio::speedFile() const {
    return m_impl->options.dataFolder / "speed.json";
}

std::filesystem::path Studio::measuringFolder() const {
    return measuringFolderOf(m_impl->options);
}

void Studio::rescanLibrary() {
    if (!hasMedia())
        return;
    const std::lock_guard lock(m_impl->scanMutex);
    if (m_impl->scanner.joinable())
        m_impl->scanner.join(); // one at a time; a scan takes milliseconds a new file
    m_impl->scanner = std::jthread([impl = m_impl.get()] {
        if (auto scanned = impl->clips->scan(impl->options.clipFolder, readClip); !scanned)
            logWarning("studio", scanned.error().message);
        impl->conductor->wake();
    });
}

} // namespace canopy
