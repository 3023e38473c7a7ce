#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "core/client/client_snapshot.h"
#include "core/client/job_listener.h"
#include "core/protocol/messages.h"

namespace canopy::protocol {
class SessionWriter;
}

namespace canopy::client {

/// Every time that supervision uses, in seconds; tests scale them.
struct SupervisionTimes {
    double helloWait = 60;       ///< from process start to WorkerHello; a cold disk reads LibTorch slowly
    double heartbeatTimeout = 5; ///< no heartbeat for so long = not responding
    double stuckMinimum = 60;    ///< no progress for max(this, stuckFactor x median unit) = stuck
    double stuckFactor = 20;
    double cancelMinimum = 10;  ///< an ignored cancel becomes SIGTERM after 2 x unit, not before this
    double cancelMaximum = 60;  ///< nor after this
    double terminateWait = 10;  ///< SIGTERM to SIGKILL
    double killWait = 30;       ///< SIGKILL to "does not answer; restart the computer"
    double quitWait = 2;        ///< each rung of the ladder when the client itself goes away
    double restartWindow = 600; ///< one death is forgiven per so many seconds
    int restartLimit = 3;       ///< deaths within the window = stopped
    double restartDelay = 0.2;  ///< between a death and the next start
};

struct WorkerClientOptions {
    std::filesystem::path executable; ///< canopy-worker
    std::vector<std::string> arguments;
    std::vector<std::string> environment; ///< "NAME=value", added to this process's
    std::filesystem::path stderrFile;     ///< the worker's stderr goes there, and its last line into the
                                          ///< sentence of a failed start; empty = this process's stderr
    LogLevel logLevel = LogLevel::Info;   ///< worker lines from here on arrive in our own log
    std::vector<std::string> topics = {"preview"}; ///< what is watched from the start; see subscribe()
    SupervisionTimes times;
    /// Called on the client's reader thread after the worker's state has changed; must be quick. May be
    /// empty.
    std::function<void()> stateChanged;
    int protocolVersion = protocol::kProtocolVersion; ///< another one only in tests
};

/// One job for the worker.
struct JobSubmission {
    JobId job = 0; ///< chosen by the caller, never used twice while open
    std::string kind = "generate";
    Value request;                 ///< toValue(GenerationRequest)
    Value model;                   ///< toValue(ModelRecord)
    std::uint64_t stateBudget = 0; ///< see protocol::StartJob
    double stateSeconds = 0;
    std::weak_ptr<JobListener> listener; ///< may expire: then frames and latents are dropped
};

/// Starts, supervises and restarts one worker process, and keeps what it says. All functions are thread-safe
/// and return at once (but the destructor). One thread of its own reads, supervises and calls listeners; a
/// writer thread belongs to the channel.
///
/// Supervision: the process gone or the channel closed = dead, at once; no heartbeat for 5 s = not responding
/// (state only: the person decides by restart()); no progress = JobView::stuck (state only). A cancel that is
/// not obeyed climbs: 2 x unit time, SIGTERM, 10 s, SIGKILL. Three deaths within ten minutes = stopped. The
/// worker ends by itself when this process ends, however it ends.
class WorkerClient {
public:
    explicit WorkerClient(WorkerClientOptions options);
    /// Ends the worker (message, SIGTERM, SIGKILL; at most 3 x quitWait). Open jobs end as Interrupted.
    ~WorkerClient();
    WorkerClient(const WorkerClient&) = delete;
    WorkerClient& operator=(const WorkerClient&) = delete;

    /// Starts the worker; the outcome shows in the snapshot. Does nothing when it runs already.
    void start();
    /// Ends the worker by the ladder and starts a fresh one; forgets earlier deaths. Open jobs end as
    /// Interrupted. For the person's Restart (not responding) and Retry (stopped).
    void restart();
    /// Ends the worker by the ladder and stays stopped until start().
    void stop();

    /// Sends the job, or keeps it until the worker is ready. Refused when the worker is stopped or the id is
    /// open.
    Result<void> submit(JobSubmission job);
    /// Asks the worker to end the job; it ends as Cancelled (or Finished, when it was faster). Unknown ids
    /// are ignored.
    void cancel(JobId job);
    /// Asks the worker to stop the job at its next block and to free the device; it ends as Paused (or
    /// Finished). Unknown ids are ignored.
    void pause(JobId job);
    /// Replaces the watched topics: "preview", "stage_times", "block_times". Kept over restarts.
    void subscribe(std::vector<std::string> topics);

    /// Everything that passes is also written there from now on; null stops. The writer's level decides what
    /// is kept.
    void setRecorder(std::shared_ptr<protocol::SessionWriter> recorder);

    /// The newest state. Cheap: polled 30 times a second. The same pointer as before when nothing changed.
    SnapshotPtr snapshot() const;
    /// Blocks until the state is newer than `seenVersion` or the deadline passes. Not for the GUI thread.
    SnapshotPtr waitForChange(std::uint64_t seenVersion,
                              std::chrono::steady_clock::time_point deadline) const;

private:
    class Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace canopy::client
