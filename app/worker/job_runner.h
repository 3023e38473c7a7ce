#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "accel/engine/accel_engine.h"
#include "app/worker/memory_gauge.h"
#include "app/worker/remaining_time.h"
#include "app/worker/topics.h"
#include "core/protocol/channel.h"

namespace canopy::worker {

class StreamSink;

/// Makes the engine on the inference thread, its home.
using EngineFactory = std::function<std::unique_ptr<accel::Engine>()>;

/// The inference thread and the exception boundary of jobs: one at a time, in order. Each started job ends in
/// exactly one Finished, Paused or Failed message.
class JobRunner {
public:
    /// `wake` is called on the inference thread when ready() or ended() may have changed.
    JobRunner(EngineFactory factory, protocol::Channel& channel, const Topics& topics, MemoryGauge& gauge,
              std::function<void()> wake);
    /// Waits for the running job, which should have been told to stop.
    ~JobRunner();

    // Called by the control thread.
    void start(protocol::StartJob job);
    void cancel(protocol::JobId job);
    /// Stops the job as cancel() does, keeps its state and drops what the engine has loaded.
    void pause(protocol::JobId job);
    /// Cancels everything and takes no more; ended() follows when the running job has stopped.
    void stop();

    /// What the engine can do, once it has been made.
    std::optional<accel::EngineInfo> info() const;
    bool ended() const;
    /// Set with ended(): 0, or the code of an engine that only a new process can cure.
    int exitCode() const;
    /// GPU memory for the heartbeat; 0 before the engine is there.
    std::uint64_t deviceBytes() const;

private:
    void run();
    void runJob(const protocol::StartJob& job, std::stop_token stop);
    /// The request and summary of a finished job as maps.
    struct Done {
        Value request;
        Value summary;
    };
    Result<Done> perform(const protocol::StartJob& job, StreamSink& sink, std::stop_token stop);
    Result<Done> generate(const protocol::StartJob& job, StreamSink& sink, std::stop_token stop);
    Result<Done> ask(const protocol::StartJob& job, StreamSink& sink, std::stop_token stop);
    Result<Done> calibrate(const protocol::StartJob& job, StreamSink& sink, std::stop_token stop);
    Result<Done> similarity(const protocol::StartJob& job, std::stop_token stop);
    void fail(const protocol::StartJob& job, Error error, Value details = {});
    void tellPaused(protocol::JobId job);
    /// With m_mutex: takes a job that has not been begun out of the queue.
    std::optional<protocol::StartJob> takeWaiting(protocol::JobId job);

    const EngineFactory m_factory;
    protocol::Channel& m_channel;
    const Topics& m_topics;
    MemoryGauge& m_gauge;
    const std::function<void()> m_wake;
    RemainingTime m_remaining;               ///< inference thread
    std::unique_ptr<accel::Engine> m_engine; ///< inference thread, but for deviceBytes()
    std::atomic<accel::Engine*> m_measured = nullptr;

    mutable std::mutex m_mutex;
    std::condition_variable m_work;
    std::deque<protocol::StartJob> m_queue;
    protocol::JobId m_running = 0;
    std::optional<std::stop_source> m_runningStop;
    std::atomic<bool> m_pausing = false; ///< the running job is stopped by pause()
    std::optional<accel::EngineInfo> m_info;
    bool m_stopping = false;
    bool m_ended = false;
    int m_exitCode = 0;

    std::thread m_thread; ///< last
};

} // namespace canopy::worker
