#include "app/worker/worker_service.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "app/worker/heartbeat.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/log.h"

namespace canopy::worker {
namespace {

using namespace protocol;
using namespace std::chrono_literals;

/// After SIGTERM a job has this long to stop at its next block; the client sends SIGKILL 10 s after SIGTERM.
constexpr double kTerminateSeconds = 5;

class Service {
public:
    Service(const EngineFactory& factory, const WorkerOptions& options)
        : m_options(options)
        , m_channel(options.readDescriptor, options.writeDescriptor)
        , m_wakeFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
        , m_runner(factory, m_channel, m_topics, m_gauge, [this] { wake(); }) {
        sigset_t terminate;
        sigemptyset(&terminate);
        sigaddset(&terminate, SIGTERM);
        m_signalFd = ::signalfd(-1, &terminate, SFD_CLOEXEC | SFD_NONBLOCK);
    }

    ~Service() {
        setLogForwarder({}, LogLevel::Error);
        ::close(m_signalFd);
        // m_wakeFd stays open: the inference thread may still wake us while it is joined.
    }

    int run() {
        while (!m_runner.ended()) {
            greet();
            std::array<pollfd, 3> waits = {{{m_gone ? -1 : m_channel.readDescriptor(), POLLIN, 0},
                                            {m_wakeFd, POLLIN, 0},
                                            {m_signalFd, POLLIN, 0}}};
            ::poll(waits.data(), waits.size(), m_endBy ? 50 : -1);
            std::uint64_t count = 0;
            [[maybe_unused]] const auto got = ::read(m_wakeFd, &count, sizeof count);
            if (waits[2].revents != 0) {
                terminate();
            }
            if (waits[0].revents != 0) {
                read();
            }
            if (m_gone || (m_endBy && steadySeconds() >= *m_endBy)) {
                // Nobody is there to hear how the job ends: no thread is waited for.
                ::_exit(m_gone ? 0 : 128 + SIGTERM);
            }
        }
        // The last message (a Failed, most likely) leaves before the process does.
        m_channel.flush(std::chrono::steady_clock::now() + 2s);
        return m_runner.exitCode();
    }

private:
    void wake() {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(m_wakeFd, &one, sizeof one);
    }

    void terminate() {
        signalfd_siginfo info{};
        [[maybe_unused]] const auto got = ::read(m_signalFd, &info, sizeof info);
        m_endBy = steadySeconds() + kTerminateSeconds;
        m_runner.stop();
    }

    void read() {
        std::vector<Value> messages;
        const Result<bool> open = m_channel.receive(messages);
        for (const Value& value : messages) {
            Result<ClientMessage> message = clientMessageFromValue(value);
            if (!message) {
                logError("worker", message.error().message);
                m_gone = true;
                return;
            }
            std::visit([this](auto& m) { on(std::move(m)); }, *message);
        }
        if (!open) {
            logError("worker", open.error().message);
        }
        m_gone = !open || !*open;
    }

    /// The hello waits for the engine, which knows what this machine can do.
    void greet() {
        if (!m_client || m_heartbeat) {
            return;
        }
        const std::optional<accel::EngineInfo> info = m_runner.info();
        if (!info) {
            return;
        }
        WorkerHello hello;
        hello.version = m_options.protocolVersion;
        hello.epoch = m_client->epoch;
        hello.pid = ::getpid();
        hello.build = m_options.build;
        hello.threads = info->threads;
        hello.bf16Fast = info->bf16Fast;
        hello.devices = info->devices;
        hello.deviceNote = info->deviceNote;
        (void)m_channel.send(toValue(WorkerMessage(std::move(hello))));
        m_heartbeat.emplace(m_channel, m_gauge, [this] { return m_runner.deviceBytes(); });
        setLogForwarder(
            [this](const LogRecord& record) {
                (void)m_channel.send(toValue(WorkerMessage(LogLine{record})), Channel::Importance::Telemetry);
            },
            m_client->logLevel);
    }

    void on(ClientHello hello) { m_client = hello; }
    void on(StartJob job) {
        // A client of another version has been told ours and is about to hang up; nothing of it is acted on.
        if (m_client && m_client->version == m_options.protocolVersion) {
            m_runner.start(std::move(job));
        }
    }
    void on(const CancelJob& cancel) { m_runner.cancel(cancel.job); }
    void on(const PauseJob& pause) { m_runner.pause(pause.job); }
    void on(const Subscribe& subscribe) { m_topics.set(subscribe.topics); }
    void on(const BlobCredit& credit) { m_channel.addCredit(credit.bytes); }
    void on(const Shutdown&) { m_runner.stop(); }

    const WorkerOptions m_options;
    Channel m_channel;
    Topics m_topics;
    MemoryGauge m_gauge;
    const int m_wakeFd;
    int m_signalFd = -1;
    std::optional<ClientHello> m_client;
    std::optional<double> m_endBy;
    bool m_gone = false;
    JobRunner m_runner;
    std::optional<HeartbeatThread> m_heartbeat; ///< after the runner: it asks it for figures
};

/// Under memory pressure the kernel is to end this process, not the window.
void volunteerForOomKiller() {
    std::ofstream("/proc/self/oom_score_adj") << 500;
}

} // namespace

int runWorker(const EngineFactory& factory, const WorkerOptions& options) {
    Service service(factory, options);
    return service.run();
}

int workerMain(int argc, char** argv, const EngineFactory& factory) {
    (void)argc;
    (void)argv;
    // The kernel ends us with the thread that started us, also when the channel's end is never read.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    volunteerForOomKiller();
    ::signal(SIGINT, SIG_IGN); // Ctrl+C is for the program in front
    sigset_t terminate;
    sigemptyset(&terminate);
    sigaddset(&terminate, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &terminate, nullptr);

    WorkerOptions options;
    options.readDescriptor = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    options.writeDescriptor = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(nothing, STDIN_FILENO);
    ::close(nothing);

    // Before the GPU library is loaded, which reads it once; the person's own setting wins.
    ::setenv("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True", 0);
    openLogFiles(stateFolder() / "logs", "worker", LogLevel::Info);
    options.build = CANOPY_VERSION;
    return runWorker(factory, options);
}

} // namespace canopy::worker
