#include "core/client/worker_client.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <fstream>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "core/base/clock.h"
#include "core/client/blob_inbox.h"
#include "core/client/client_store.h"
#include "core/client/open_jobs.h"
#include "core/client/restart_policy.h"
#include "core/client/worker_process.h"
#include "core/protocol/channel.h"
#include "core/protocol/session_file.h"

namespace canopy::client {
namespace {

using namespace protocol;

/// Exit code of a worker that only a fresh process can cure (a sticky GPU error).
constexpr int kBrokenExitCode = 86;

std::string seconds(double value) {
    const auto whole = static_cast<long>(std::lround(value));
    return std::to_string(whole) + (whole == 1 ? " second" : " seconds");
}

/// "at step 7 of 30", "while loading the model": where a job was.
std::string placeOf(const Progress& p) {
    const std::string of =
        p.units > 0 ? std::to_string(std::min(p.unit + 1, p.units)) + " of " + std::to_string(p.units)
                    : std::to_string(p.unit + 1);
    switch (p.stage) {
    case Stage::Load:
        return "while loading the model";
    case Stage::Text:
        return "while reading the prompt";
    case Stage::Denoise:
        return "at step " + of;
    case Stage::Decode:
        return "while decoding part " + of;
    case Stage::Encode:
        return "while writing the file";
    case Stage::Vision:
        return "while looking at frame " + of;
    case Stage::Select:
        return "while choosing tokens";
    case Stage::Prefill:
        return "while reading the question, layer " + of;
    case Stage::Answer:
        return "while answering";
    case Stage::Calibrate:
        return "while measuring, block " + of;
    }
    return {};
}

std::string lastLine(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string line;
    std::string last;
    while (std::getline(in, line)) {
        if (!line.empty()) {
            last = line.substr(0, 300);
        }
    }
    return last;
}

std::uint64_t newEpoch() {
    std::random_device random;
    // 63 bits: it travels as a signed integer and stays readable in logs.
    return ((std::uint64_t{random()} << 32) | random()) >> 1;
}

} // namespace

class WorkerClient::Impl {
public:
    explicit Impl(WorkerClientOptions options)
        : m_options(std::move(options))
        , m_topics(m_options.topics)
        , m_policy(m_options.times.restartWindow, m_options.times.restartLimit)
        , m_jobs(m_store, [this](JobId id) { closed(id); })
        , m_wakeFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        m_store.change([&](ClientSnapshot& s) { s.worker.restartLimit = m_options.times.restartLimit; });
        m_reader = std::thread([this] { run(); });
    }

    ~Impl() {
        ask(Wish::Quit);
        m_reader.join();
        ::close(m_wakeFd);
    }

    enum class Wish : std::uint8_t { None, Start, Restart, Stop, Quit };

    void ask(Wish wish) {
        {
            const std::lock_guard lock(m_mutex);
            if (m_wish != Wish::Quit) {
                m_wish = wish;
            }
            if (wish == Wish::Start || wish == Wish::Restart) {
                m_acceptsJobs = true;
            } else if (wish == Wish::Stop || wish == Wish::Quit) {
                m_acceptsJobs = false;
            }
        }
        // Whoever asked for a start must not read "stopped" until the reader thread has got to it.
        if (wish == Wish::Start || wish == Wish::Restart) {
            m_store.change([](ClientSnapshot& snapshot) {
                if (snapshot.worker.status == WorkerStatus::Stopped) {
                    snapshot.worker.status = WorkerStatus::Starting;
                    snapshot.worker.sentence.clear();
                }
            });
        }
        wake();
    }

    Result<void> submit(JobSubmission job) {
        const StartJob message{job.job, job.kind, job.request, job.model, job.stateBudget, job.stateSeconds};
        if (const auto frame = encodeFrame(toValue(ClientMessage(message))); !frame) {
            return frame.error();
        }
        {
            const std::lock_guard lock(m_mutex);
            if (!m_acceptsJobs) {
                return makeError(ErrorCode::WorkerLost,
                                 "The engine is stopped; start it again before a job is sent.");
            }
            if (!m_ids.insert(job.job).second) {
                return makeError(ErrorCode::InvalidArgument,
                                 "Job " + std::to_string(job.job) + " is with the engine already.");
            }
            m_submitted.push_back(std::move(job));
        }
        wake();
        return {};
    }

    void cancel(JobId job) {
        {
            const std::lock_guard lock(m_mutex);
            m_cancels.push_back(job);
        }
        // Shown at once, whatever the reader thread is busy with.
        if (m_store.look(
                [&](const ClientSnapshot& s) { return s.job && s.job->job == job && isOpen(s, job); })) {
            m_store.change([&](ClientSnapshot& s) {
                if (s.job && s.job->job == job) {
                    s.job->cancelling = true;
                }
            });
        }
        wake();
    }

    void pause(JobId job) {
        {
            const std::lock_guard lock(m_mutex);
            m_pauses.push_back(job);
        }
        wake();
    }

    void subscribe(std::vector<std::string> topics) {
        {
            const std::lock_guard lock(m_mutex);
            m_topics = std::move(topics);
            m_topicsChanged = true;
        }
        wake();
    }

    void setRecorder(std::shared_ptr<SessionWriter> recorder) {
        const std::lock_guard lock(m_mutex);
        m_recorder = std::move(recorder);
    }

    const ClientStore& store() const { return m_store; }

private:
    enum class Phase : std::uint8_t { Idle, Starting, Running, Ending, Waiting };
    /// Why the process is being ended; Death = it went by itself.
    enum class Purpose : std::uint8_t { Death, Restart, Stop, Quit, Cancel, Refuse };
    enum class Rung : std::uint8_t { Asked, Terminated, Killed, GivenUp };

    static bool isOpen(const ClientSnapshot& s, JobId job) {
        return std::find(s.openJobs.begin(), s.openJobs.end(), job) != s.openJobs.end();
    }

    void closed(JobId id) {
        const std::lock_guard lock(m_mutex);
        m_ids.erase(id);
    }

    void wake() {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(m_wakeFd, &one, sizeof one);
    }

    // ---- the reader thread

    void run() {
        while (!m_done) {
            takeWishes();
            if (m_done) {
                break;
            }
            takeJobs();
            checkTimes();
            if (!m_done) {
                waitForInput();
            }
        }
        takeJobs();
    }

    void waitForInput() {
        std::array<pollfd, 2> waits = {{{m_wakeFd, POLLIN, 0}, {-1, POLLIN, 0}}};
        if (m_channel && !m_streamEnded) {
            waits[1].fd = m_channel->readDescriptor();
        }
        // While a process lives, its end is looked for a few times a second too: a channel can outlive it
        // only when a grandchild holds it.
        const double now = steadySeconds();
        double until = m_nextCheck;
        if (m_phase != Phase::Idle) {
            until = std::min(until, now + (m_streamEnded ? 0.01 : 0.25));
        }
        const double wait = std::clamp(until - now, 0.0, 3600.0);
        ::poll(waits.data(), waits.size(), static_cast<int>(std::ceil(wait * 1000)));
        std::uint64_t count = 0;
        [[maybe_unused]] const auto got = ::read(m_wakeFd, &count, sizeof count);
        if (waits[1].revents != 0) {
            readChannel();
        }
    }

    void takeWishes() {
        Wish wish = Wish::None;
        bool topicsChanged = false;
        std::vector<std::string> topics;
        {
            const std::lock_guard lock(m_mutex);
            std::swap(wish, m_wish);
            std::swap(topicsChanged, m_topicsChanged);
            topics = m_topics;
        }
        if (topicsChanged && m_phase == Phase::Running) {
            send(Subscribe{topics});
        }
        switch (wish) {
        case Wish::None:
            break;
        case Wish::Start:
            if (m_phase == Phase::Idle) {
                m_policy.forgiveAll();
                startProcess();
            } else if (m_phase == Phase::Ending && m_purpose == Purpose::Stop) {
                m_purpose = Purpose::Restart;
            }
            break;
        case Wish::Restart:
            m_policy.forgiveAll();
            if (m_process) {
                beginEnding(Purpose::Restart,
                            m_status == WorkerStatus::NotResponding ? Rung::Terminated : Rung::Asked);
            } else {
                startProcess();
            }
            break;
        case Wish::Stop:
        case Wish::Quit:
            m_quitting = wish == Wish::Quit;
            if (m_process) {
                beginEnding(m_quitting ? Purpose::Quit : Purpose::Stop, Rung::Asked);
            } else {
                becomeIdle("");
            }
            break;
        }
    }

    void takeJobs() {
        std::deque<JobSubmission> submitted;
        std::vector<JobId> cancels, pauses;
        {
            const std::lock_guard lock(m_mutex);
            if (m_wish != Wish::None && !m_done) {
                return; // a start that came before these jobs is to be seen first
            }
            std::swap(submitted, m_submitted);
            std::swap(cancels, m_cancels);
            std::swap(pauses, m_pauses);
        }
        for (JobSubmission& s : submitted) {
            m_jobs.add(std::move(s));
        }
        if (!submitted.empty()) {
            sendWaitingJobs();
            m_jobs.show();
        }
        for (const JobId id : pauses) {
            pauseJob(id);
        }
        for (const JobId id : cancels) {
            cancelJob(id);
        }
        if (m_phase == Phase::Idle && !m_jobs.empty()) {
            // Submitted in the moment in which the worker stopped.
            m_jobs.endAll(
                makeError(ErrorCode::WorkerLost, "The engine is stopped; start it again and retry."));
        }
    }

    void sendWaitingJobs() {
        if (m_phase != Phase::Running) {
            return;
        }
        for (OpenJobs::Job& job : m_jobs.all()) {
            if (!job.view.sent) {
                job.view.sent = true;
                job.view.lastProgressAt = steadySeconds();
                const JobSubmission& s = job.submission;
                send(StartJob{s.job, s.kind, s.request, s.model, s.stateBudget, s.stateSeconds});
            }
        }
    }

    void cancelJob(JobId id) {
        OpenJobs::Job* job = m_jobs.find(id);
        if (job == nullptr || job->cancelAsked) {
            return;
        }
        if (!job->view.sent) {
            m_jobs.endCancelled(id, "Cancelled before it was started.");
            return;
        }
        const SupervisionTimes& t = m_options.times;
        job->cancelAsked = true;
        job->view.cancelling = true;
        job->cancelDeadline =
            steadySeconds() + std::clamp(2 * job->view.progress.unitSeconds, t.cancelMinimum,
                                         std::max(t.cancelMinimum, t.cancelMaximum));
        send(CancelJob{id});
        m_jobs.show();
    }

    void pauseJob(JobId id) {
        const OpenJobs::Job* job = m_jobs.find(id);
        if (job == nullptr || job->cancelAsked) {
            return;
        }
        if (!job->view.sent) {
            m_jobs.endPaused(id);
            return;
        }
        send(PauseJob{id});
    }

    // ---- process

    void startProcess() {
        m_streamEnded = false;
        m_helloSeen = false;
        m_countedChannel = nullptr;
        m_unreadable.clear();
        m_epoch = newEpoch();
        Result<WorkerProcess> process = WorkerProcess::start(
            {m_options.executable, m_options.arguments, m_options.environment, m_options.stderrFile});
        if (!process) {
            becomeIdle(process.error().message);
            return;
        }
        m_process.emplace(std::move(*process));
        const int socket = m_process->takeSocket();
        m_channel = std::make_shared<Channel>(socket, socket);
        m_inbox = BlobInbox(m_channel);
        m_phase = Phase::Starting;
        m_phaseSince = steadySeconds();
        setStatus(WorkerStatus::Starting, m_policy.count() > 0 ? m_deathSentence : "");
        m_store.change([&](ClientSnapshot& s) {
            s.worker.pid = m_process->pid();
            s.worker.epoch = m_epoch;
            s.hello.reset();
            s.heartbeat.reset();
        });
        send(ClientHello{m_options.protocolVersion, m_epoch, m_options.logLevel});
    }

    void beginEnding(Purpose purpose, Rung rung) {
        if (m_phase == Phase::Ending) {
            // A stronger reason replaces a weaker one; the ladder goes on from where it is.
            if (purpose == Purpose::Quit || m_purpose == Purpose::Cancel || m_purpose == Purpose::Death) {
                m_purpose = purpose;
                m_rungUntil = std::min(m_rungUntil, steadySeconds() + rungSeconds());
            }
            return;
        }
        m_phase = Phase::Ending;
        m_purpose = purpose;
        enterRung(rung);
    }

    double rungSeconds() const {
        const SupervisionTimes& t = m_options.times;
        if (m_purpose == Purpose::Quit || m_purpose == Purpose::Death || m_rung == Rung::Asked) {
            return t.quitWait;
        }
        return m_rung == Rung::Terminated ? t.terminateWait : t.killWait;
    }

    void enterRung(Rung rung) {
        m_rung = rung;
        switch (rung) {
        case Rung::Asked:
            if (m_purpose != Purpose::Death) {
                send(Shutdown{});
            }
            break;
        case Rung::Terminated:
            m_process->signal(SIGTERM);
            break;
        case Rung::Killed:
            m_process->signal(SIGKILL);
            break;
        case Rung::GivenUp:
            break;
        }
        m_rungUntil = steadySeconds() + rungSeconds();
    }

    void climb() {
        switch (m_rung) {
        case Rung::Asked:
            if (m_purpose == Purpose::Death && m_unreadable.empty()) {
                m_unreadable = "The engine closed its channel without ending";
            }
            enterRung(Rung::Terminated);
            break;
        case Rung::Terminated:
            enterRung(Rung::Killed);
            break;
        case Rung::Killed:
        case Rung::GivenUp:
            // In the kernel and not to be killed: starting another one would only meet the same driver.
            m_process.reset();
            m_channel.reset();
            m_jobs.endAll(makeError(ErrorCode::WorkerLost, "Generation stopped: the engine does not end."));
            becomeIdle(
                "The engine's process does not end even when killed: the graphics driver or a disk does not "
                "answer. Restart the computer.");
            break;
        }
    }

    void checkTimes() {
        const double now = steadySeconds();
        m_nextCheck = now + 3600;
        if (m_process && m_process->ended()) {
            if (m_channel && !m_streamEnded) {
                drainChannel();
            }
            processEnded(*m_process->ended());
            return;
        }
        switch (m_phase) {
        case Phase::Idle:
            break;
        case Phase::Starting:
            if (now - m_phaseSince > m_options.times.helloWait) {
                m_unreadable = "The engine did not answer within " + seconds(m_options.times.helloWait) +
                               " of its start";
                beginEnding(Purpose::Death, Rung::Killed);
            }
            m_nextCheck = m_phaseSince + m_options.times.helloWait;
            break;
        case Phase::Running:
            checkHealth(now);
            break;
        case Phase::Ending:
            if (now >= m_rungUntil) {
                climb();
            }
            m_nextCheck = m_rungUntil;
            break;
        case Phase::Waiting:
            if (now >= m_phaseSince + m_options.times.restartDelay) {
                startProcess();
            } else {
                m_nextCheck = m_phaseSince + m_options.times.restartDelay;
            }
            break;
        }
    }

    void checkHealth(double now) {
        const SupervisionTimes& t = m_options.times;
        const double age = now - m_heartbeatAt;
        if (age > t.heartbeatTimeout) {
            const std::string sentence =
                "The engine has not answered for " + seconds(age) + ". Wait, or restart it.";
            setStatus(WorkerStatus::NotResponding, sentence);
            m_nextCheck = now + 1;
        } else {
            setStatus(m_jobs.empty() ? WorkerStatus::Ready : WorkerStatus::Busy, "");
            m_nextCheck = m_heartbeatAt + t.heartbeatTimeout + 0.001;
        }
        for (const OpenJobs::Job& job : m_jobs.all()) {
            if (job.cancelAsked) {
                if (now >= job.cancelDeadline) {
                    beginEnding(Purpose::Cancel, Rung::Terminated);
                    return;
                }
                m_nextCheck = std::min(m_nextCheck, job.cancelDeadline);
            }
        }
        m_nextCheck = std::min(m_nextCheck, m_jobs.checkStuck(now, t.stuckMinimum, t.stuckFactor));
    }

    void processEnded(int waitStatus) {
        const bool wasStarting = !m_helloSeen;
        const Purpose purpose = m_phase == Phase::Ending ? m_purpose : Purpose::Death;
        countTraffic();
        m_process.reset();
        m_channel.reset();
        m_inbox = BlobInbox();

        std::string cause = m_unreadable;
        if (cause.empty()) {
            cause = wasStarting ? "The engine could not be started (" + describeExit(waitStatus) + ")"
                    : WIFEXITED(waitStatus) && WEXITSTATUS(waitStatus) == kBrokenExitCode
                        ? "The engine ended after an error that only a fresh start cures"
                        : "The engine ended unexpectedly (" + describeExit(waitStatus) + ")";
        }
        if (wasStarting && !m_options.stderrFile.empty()) {
            if (const std::string line = lastLine(m_options.stderrFile); !line.empty()) {
                cause += ": " + line;
            }
        }
        if (const OpenJobs::Job* job = m_jobs.running(); job != nullptr && !wasStarting) {
            cause += " " + placeOf(job->view.progress);
        }

        switch (purpose) {
        case Purpose::Death:
            died(cause);
            break;
        case Purpose::Cancel:
            m_jobs.endSent(makeError(ErrorCode::WorkerLost,
                                     "The engine was restarted because another job did not stop."));
            m_deathSentence = "The engine was restarted because a cancelled job did not stop.";
            waitToRestart();
            break;
        case Purpose::Restart:
            m_jobs.endSent(makeError(ErrorCode::WorkerLost, "Generation stopped: the engine was restarted."));
            startProcess();
            break;
        case Purpose::Refuse:
            becomeIdle(m_refusal);
            break;
        case Purpose::Stop:
        case Purpose::Quit:
            becomeIdle("");
            break;
        }
    }

    void died(const std::string& cause) {
        m_jobs.countDeath();
        std::string lower = cause;
        lower.front() = 't';
        const Error jobError = makeError(ErrorCode::WorkerLost, "Generation stopped: " + lower + ".");
        const bool again = m_policy.died(steadySeconds());
        m_deathSentence = cause + ".";
        if (again) {
            m_deathSentence += " Restarting (" + std::to_string(m_policy.count()) + "/" +
                               std::to_string(m_policy.limit()) + ").";
            m_jobs.endSent(jobError);
            waitToRestart();
            return;
        }
        m_deathSentence += " It ended " + std::to_string(m_policy.count()) + " times within " +
                           std::to_string(static_cast<int>(m_options.times.restartWindow / 60)) +
                           " minutes and is not started again by itself.";
        m_jobs.endSent(jobError);
        becomeIdle(m_deathSentence);
    }

    void waitToRestart() {
        m_phase = Phase::Waiting;
        m_phaseSince = steadySeconds();
        setStatus(WorkerStatus::Restarting, m_deathSentence);
        m_store.change([](ClientSnapshot& s) { s.worker.pid = 0; });
    }

    /// No process and none wanted. `sentence`: why, empty when it was asked for.
    void becomeIdle(const std::string& sentence) {
        m_phase = Phase::Idle;
        m_done = m_quitting;
        {
            const std::lock_guard lock(m_mutex);
            m_acceptsJobs = m_wish == Wish::Start || m_wish == Wish::Restart;
        }
        m_jobs.endAll(makeError(ErrorCode::WorkerLost,
                                sentence.empty() ? "Generation stopped: the engine was ended." : sentence));
        m_store.change([](ClientSnapshot& s) {
            s.worker.pid = 0;
            s.hello.reset();
            s.heartbeat.reset();
        });
        setStatus(WorkerStatus::Stopped, sentence);
    }

    void setStatus(WorkerStatus status, const std::string& sentence) {
        const bool changed = m_status != status;
        if (!changed && sentence == m_sentence) {
            return;
        }
        m_status = status;
        m_sentence = sentence;
        m_store.change([&](ClientSnapshot& s) {
            s.worker.status = status;
            s.worker.sentence = sentence;
            s.worker.restart = status == WorkerStatus::Restarting || status == WorkerStatus::Stopped ||
                                       status == WorkerStatus::Starting
                                   ? m_policy.count()
                                   : 0;
            s.worker.tooManyDeaths = status == WorkerStatus::Stopped && m_policy.count() >= m_policy.limit();
        });
        if (!sentence.empty() && status != WorkerStatus::Starting && changed) {
            log(status == WorkerStatus::Stopped ? LogLevel::Error : LogLevel::Warning, "client", sentence);
        }
        if (changed && m_options.stateChanged) {
            m_options.stateChanged();
        }
    }

    // ---- what the worker says

    void readChannel() {
        std::vector<Value> messages;
        const Result<bool> open = m_channel->receive(messages);
        for (const Value& value : messages) {
            handle(value);
        }
        if (!open) {
            unreadable(open.error());
        } else if (!*open) {
            streamEnded();
        }
        countTraffic();
    }

    /// What a process that has ended had still written.
    void drainChannel() {
        while (!m_streamEnded) {
            std::vector<Value> messages;
            const std::uint64_t before = m_channel->bytesIn();
            const Result<bool> open = m_channel->receive(messages);
            for (const Value& value : messages) {
                handle(value);
            }
            if (!open || !*open || m_channel->bytesIn() == before) {
                m_streamEnded = true;
            }
        }
    }

    void streamEnded() {
        m_streamEnded = true;
        if (m_phase == Phase::Starting || m_phase == Phase::Running) {
            // Dead at once; a process that goes on without its channel is of no use. The kernel closes the
            // socket some microseconds before the process can be reaped.
            beginEnding(Purpose::Death, Rung::Asked);
        }
    }

    void unreadable(const Error& error) {
        m_streamEnded = true;
        m_unreadable = "The engine sent something unreadable";
        logError("client", error.message);
        if (m_phase == Phase::Starting || m_phase == Phase::Running) {
            beginEnding(Purpose::Death, Rung::Killed);
        }
    }

    void handle(const Value& value) {
        Result<WorkerMessage> message = workerMessageFromValue(value);
        if (!message) {
            unreadable(message.error());
            return;
        }
        if (!std::holds_alternative<BlobChunk>(*message)) {
            record("worker/", value);
        }
        if (m_phase == Phase::Starting && !std::holds_alternative<WorkerHello>(*message)) {
            m_store.change([](ClientSnapshot& s) { ++s.traffic.staleMessages; });
            return;
        }
        std::visit([this](auto& m) { on(std::move(m)); }, *message);
    }

    void on(WorkerHello hello) {
        if (m_phase != Phase::Starting) {
            return;
        }
        if (hello.version != m_options.protocolVersion) {
            m_refusal = "The engine and the app are of different versions (" + std::to_string(hello.version) +
                        ", " + std::to_string(m_options.protocolVersion) +
                        "). Install both from the same package.";
            beginEnding(Purpose::Refuse, Rung::Asked);
            return;
        }
        if (hello.epoch != m_epoch) {
            m_store.change([](ClientSnapshot& s) { ++s.traffic.staleMessages; });
            return;
        }
        m_phase = Phase::Running;
        m_helloSeen = true;
        m_heartbeatAt = steadySeconds();
        m_store.change([&](ClientSnapshot& s) { s.hello = std::move(hello); });
        std::vector<std::string> topics;
        {
            const std::lock_guard lock(m_mutex);
            topics = m_topics;
        }
        send(Subscribe{topics});
        sendWaitingJobs();
        setStatus(m_jobs.empty() ? WorkerStatus::Ready : WorkerStatus::Busy, "");
        m_jobs.show();
    }

    void on(Heartbeat heartbeat) {
        m_heartbeatAt = steadySeconds();
        m_store.change([&](ClientSnapshot& s) {
            s.heartbeat = heartbeat;
            s.heartbeatAt = m_heartbeatAt;
            s.traffic.droppedInWorker = heartbeat.dropped;
        });
    }

    void on(const LogLine& line) { log(line.record); }

    void on(const BlobStart& start) {
        if (const Result<void> ok = m_inbox.start(start); !ok) {
            damagedBlob(ok.error());
        }
    }

    void on(const BlobChunk& chunk) {
        const Result<BlobPtr> blob = m_inbox.add(chunk);
        if (!blob) {
            damagedBlob(blob.error());
        } else if (*blob) {
            // Of saved states the newest alone counts, and a recording forgets nothing.
            if (const auto recorder = currentRecorder(); recorder && (*blob)->info.kind != "state") {
                recorder->blob((*blob)->info.kind, (*blob)->info.hash, (*blob)->bytes);
            }
            m_jobs.deliver(*blob);
        }
    }

    /// A stream that carries a wrong blob is not to be trusted with the next one.
    void damagedBlob(const Error& error) {
        m_store.change([](ClientSnapshot& s) { ++s.traffic.damagedBlobs; });
        unreadable(error);
    }

    void on(const Progress& progress) { m_jobs.on(progress); }
    void on(const Resolved& resolved) { m_jobs.on(resolved); }
    void on(const Resumed& resumed) { m_jobs.on(resumed); }
    void on(const AttentionStepDone& done) { m_jobs.on(done); }
    void on(const Words& words) { m_jobs.on(words); }
    void on(Timing timing) { m_jobs.on(std::move(timing)); }

    void on(Finished finished) {
        m_inbox.dropOf(finished.job);
        m_jobs.on(std::move(finished));
    }

    void on(const Paused& paused) {
        m_inbox.dropOf(paused.job);
        m_jobs.on(paused);
    }
    void on(Failed failed) {
        m_inbox.dropOf(failed.job);
        m_jobs.on(std::move(failed));
    }

    // ---- sending, recording, counting

    void send(const ClientMessage& message) {
        if (!m_channel) {
            return;
        }
        const Value value = toValue(message);
        if (const Result<void> sent = m_channel->send(value); !sent) {
            logError("client", sent.error().message);
        }
        if (!std::holds_alternative<BlobCredit>(message)) {
            record("client/", value);
        }
    }

    std::shared_ptr<SessionWriter> currentRecorder() {
        const std::lock_guard lock(m_mutex);
        return m_recorder;
    }

    void record(std::string_view side, const Value& value) {
        if (const auto recorder = currentRecorder()) {
            recorder->message(recorder->now(), std::string(side) + value["type"].asString(), value);
        }
    }

    /// Channel counters belong to one worker start; what is shown goes on over all of them.
    void countTraffic() {
        if (!m_channel) {
            return;
        }
        const std::array<std::uint64_t, 4> now = {m_channel->bytesIn(), m_channel->bytesOut(),
                                                  m_channel->messagesIn(), m_channel->messagesOut()};
        if (m_countedChannel != m_channel.get()) {
            m_countedChannel = m_channel.get();
            m_counted = {};
        }
        m_store.change([&](ClientSnapshot& s) {
            s.traffic.bytesIn += now[0] - m_counted[0];
            s.traffic.bytesOut += now[1] - m_counted[1];
            s.traffic.messagesIn += now[2] - m_counted[2];
            s.traffic.messagesOut += now[3] - m_counted[3];
        });
        m_counted = now;
    }

    const WorkerClientOptions m_options;
    ClientStore m_store;

    // Shared with callers, under m_mutex.
    std::mutex m_mutex;
    Wish m_wish = Wish::None;
    bool m_acceptsJobs = false;
    std::deque<JobSubmission> m_submitted;
    std::vector<JobId> m_cancels;
    std::vector<JobId> m_pauses;
    std::set<JobId> m_ids; ///< open or about to be
    std::vector<std::string> m_topics;
    bool m_topicsChanged = false;
    std::shared_ptr<SessionWriter> m_recorder;

    // Reader thread only.
    RestartPolicy m_policy;
    Phase m_phase = Phase::Idle;
    double m_phaseSince = 0;
    Purpose m_purpose = Purpose::Death;
    Rung m_rung = Rung::Asked;
    double m_rungUntil = 0;
    double m_nextCheck = 0;
    std::optional<WorkerProcess> m_process;
    std::shared_ptr<Channel> m_channel;
    const Channel* m_countedChannel = nullptr;
    std::array<std::uint64_t, 4> m_counted{};
    BlobInbox m_inbox;
    OpenJobs m_jobs;
    std::uint64_t m_epoch = 0;
    double m_heartbeatAt = 0;
    WorkerStatus m_status = WorkerStatus::Stopped;
    std::string m_sentence;
    std::string m_deathSentence;
    std::string m_unreadable; ///< cause of an end that we forced
    std::string m_refusal;
    bool m_streamEnded = false;
    bool m_helloSeen = false;
    bool m_quitting = false;
    bool m_done = false;

    const int m_wakeFd;
    std::thread m_reader; ///< last: starts when everything else is there
};

std::string_view workerStatusName(WorkerStatus status) {
    switch (status) {
    case WorkerStatus::Starting:
        return "starting";
    case WorkerStatus::Ready:
        return "ready";
    case WorkerStatus::Busy:
        return "busy";
    case WorkerStatus::NotResponding:
        return "not responding";
    case WorkerStatus::Restarting:
        return "restarting";
    case WorkerStatus::Stopped:
        return "stopped";
    }
    return "stopped";
}

WorkerClient::WorkerClient(WorkerClientOptions options)
    : m_impl(std::make_unique<Impl>(std::move(options))) {}

WorkerClient::~WorkerClient() = default;

void WorkerClient::start() {
    m_impl->ask(Impl::Wish::Start);
}

void WorkerClient::restart() {
    m_impl->ask(Impl::Wish::Restart);
}

void WorkerClient::stop() {
    m_impl->ask(Impl::Wish::Stop);
}

Result<void> WorkerClient::submit(JobSubmission job) {
    return m_impl->submit(std::move(job));
}

void WorkerClient::cancel(JobId job) {
    m_impl->cancel(job);
}

void WorkerClient::pause(JobId job) {
    m_impl->pause(job);
}

void WorkerClient::subscribe(std::vector<std::string> topics) {
    m_impl->subscribe(std::move(topics));
}

void WorkerClient::setRecorder(std::shared_ptr<SessionWriter> recorder) {
    m_impl->setRecorder(std::move(recorder));
}

SnapshotPtr WorkerClient::snapshot() const {
    return m_impl->store().snapshot();
}

SnapshotPtr WorkerClient::waitForChange(std::uint64_t seenVersion,
                                        std::chrono::steady_clock::time_point deadline) const {
    return m_impl->store().waitForChange(seenVersion, deadline);
}

} // namespace canopy::client
