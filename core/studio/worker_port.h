#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/result.h"
#include "core/protocol/messages.h"
#include "core/studio/studio_snapshot.h"

namespace canopy {

/// A whole blob of the worker, checked against its announced size and hash.
struct WorkerBlob {
    protocol::BlobStart start;
    std::vector<std::uint8_t> bytes;
};

/// The worker ended or was given up while or before a job ran. Reported once per death.
struct WorkerLost {
    Error error; ///< WorkerLost, with the cause in words
};

/// What a worker says about jobs, in its order.
using WorkerEvent = std::variant<protocol::Progress, protocol::Resolved, WorkerBlob, protocol::Finished,
                                 protocol::Failed, WorkerLost>;

/// The conductor's view of a worker: the real client or a scripted one in tests. All functions are called
/// from the conductor thread, but for `wake`'s target, which any thread may call.
class WorkerPort {
public:
    virtual ~WorkerPort() = default;
    /// Starts the worker if it does not run. `wake` is called from any thread when an event may be waiting.
    virtual void start(std::function<void()> wake) = 0;
    virtual bool isReady() const = 0;
    virtual std::uint64_t epoch() const = 0;
    virtual void startJob(const protocol::StartJob& job) = 0;
    virtual void cancelJob(protocol::JobId job) = 0;
    virtual void subscribe(const std::vector<std::string>& topics) = 0;
    virtual void restart() = 0;
    /// Events since the last call.
    virtual std::vector<WorkerEvent> takeEvents() = 0;
    virtual WorkerView view() const = 0;
};

} // namespace canopy
