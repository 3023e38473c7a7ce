#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/value.h"
#include "core/client/job_listener.h"
#include "core/protocol/messages.h"

namespace canopy::client {

enum class WorkerStatus : std::uint8_t { Starting, Ready, Busy, NotResponding, Restarting, Stopped };
std::string_view workerStatusName(WorkerStatus status); ///< "starting", "not responding", ...

/// What the person is told about the worker.
struct WorkerState {
    WorkerStatus status = WorkerStatus::Stopped;
    /// A full sentence whenever there is something to tell: the cause of a restart or stop, "The engine has
    /// not answered for 6 seconds.", empty when all is well.
    std::string sentence;
    int restart = 0; ///< n of "Restarting (n/3)": deaths within the window; 0 = none
    int restartLimit = 3;
    bool tooManyDeaths = false; ///< stopped by the restart policy: offer Retry (WorkerClient::restart)
    std::int64_t pid = 0;       ///< 0 = no process
    std::uint64_t epoch = 0;    ///< another one at every start
};

/// Newest preview: `frames` pictures of RGB bytes, row by row, one after another in `blob->bytes`.
struct Preview {
    JobId job = 0;
    int step = 0;
    int width = 0;
    int height = 0;
    int frames = 0;
    BlobPtr blob;

    const std::uint8_t* frame(int index) const {
        return blob->bytes.data() + static_cast<std::size_t>(index) * static_cast<std::size_t>(width) *
                                        static_cast<std::size_t>(height) * 3;
    }
};

/// Channel traffic since the client was made, over all worker starts.
struct Traffic {
    std::uint64_t bytesIn = 0;
    std::uint64_t bytesOut = 0;
    std::uint64_t messagesIn = 0;
    std::uint64_t messagesOut = 0;
    std::uint64_t previewsReceived = 0;
    std::uint64_t previewsUnseen = 0; ///< replaced by a newer one before anybody took a snapshot
    std::uint64_t droppedInWorker =
        0;                           ///< previews and telemetry that the worker left out (this worker start)
    std::uint64_t staleMessages = 0; ///< of an older epoch or an unknown job
    std::uint64_t damagedBlobs = 0;  ///< wrong offset, size or checksum
};

/// The job that the worker is on.
struct JobView {
    JobId job = 0;
    bool sent = false;       ///< false = waits for the worker to be ready
    bool cancelling = false; ///< cancel() was called, the worker has not ended it yet
    bool stuck = false;      ///< heartbeat fine, no progress for max(60 s, 20 x median unit): ask, never kill
    double submittedAt = 0;  ///< steadySeconds()
    double lastProgressAt = 0; ///< steadySeconds() of the last progress; for "seconds in this step"
    protocol::Progress progress;
    Value request;                         ///< resolved request; null until the worker sent it
    Value memoryPlan;                      ///< null until the worker sent it
    std::vector<protocol::Timing> timings; ///< newest per name, in order of first appearance, at most 512
    std::vector<double> stepSeconds;       ///< of each finished denoising step
};

/// All that is known, at one moment. Immutable; shared between threads freely.
struct ClientSnapshot {
    std::uint64_t version = 0; ///< grows with every change
    double takenAt = 0;        ///< steadySeconds()
    WorkerState worker;
    std::optional<protocol::WorkerHello> hello; ///< of the running worker
    std::optional<protocol::Heartbeat> heartbeat;
    double heartbeatAt = 0;      ///< steadySeconds() of its arrival
    std::optional<JobView> job;  ///< the oldest open job, or the last ended one until another is submitted
    std::vector<JobId> openJobs; ///< in order of submission
    std::shared_ptr<const Preview>
        preview; ///< newest of `job`; kept after its end until another job is submitted
    std::optional<JobOutcome> lastOutcome;
    Traffic traffic;
};

using SnapshotPtr = std::shared_ptr<const ClientSnapshot>;

} // namespace canopy::client
