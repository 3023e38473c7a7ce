#include "app/worker/job_runner.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <new>
#include <utility>

#include "app/worker/stream_sink.h"
#include "core/base/log.h"
#include "core/job/model_value.h"
#include "core/job/qa_model_value.h"

namespace canopy::worker {
namespace {

using namespace protocol;

/// The client reads this as "an error that only a fresh start cures".
constexpr int kBrokenExitCode = 86;

Value summaryValue(const accel::JobSummary& summary) {
    Value out;
    out.set("load_seconds", summary.loadSeconds).set("text_seconds", summary.textSeconds);
    out.set("denoise_seconds", summary.denoiseSeconds).set("decode_seconds", summary.decodeSeconds);
    out.set("step_seconds", Value::Array(summary.stepSeconds.begin(), summary.stepSeconds.end()));
    if (summary.denoiseFlop)
        out.set("denoise_flop", *summary.denoiseFlop);
    out.set("planned_bytes", summary.plannedBytes).set("peak_bytes", summary.peakBytes);
    return out;
}

} // namespace

JobRunner::JobRunner(EngineFactory factory, Channel& channel, const Topics& topics, MemoryGauge& gauge,
                     std::function<void()> wake)
    : m_factory(std::move(factory))
    , m_channel(channel)
    , m_topics(topics)
    , m_gauge(gauge)
    , m_wake(std::move(wake))
    , m_thread([this] { run(); }) {}

JobRunner::~JobRunner() {
    stop();
    m_thread.join();
}

void JobRunner::start(StartJob job) {
    {
        const std::lock_guard lock(m_mutex);
        m_queue.push_back(std::move(job));
    }
    m_work.notify_one();
}

void JobRunner::cancel(JobId job) {
    std::optional<StartJob> waiting;
    {
        const std::lock_guard lock(m_mutex);
        if (m_running == job && m_runningStop) {
            m_pausing = false;
            m_runningStop->request_stop();
            return;
        }
        waiting = takeWaiting(job);
    }
    if (waiting) {
        fail(*waiting, makeError(ErrorCode::Cancelled, "Cancelled before it was started."));
    }
}

void JobRunner::pause(JobId job) {
    std::optional<StartJob> waiting;
    {
        const std::lock_guard lock(m_mutex);
        if (m_running == job && m_runningStop) {
            m_pausing = !m_runningStop->stop_requested() || m_pausing;
            m_runningStop->request_stop();
            return;
        }
        waiting = takeWaiting(job);
    }
    if (waiting) {
        tellPaused(job);
    }
}

std::optional<StartJob> JobRunner::takeWaiting(JobId job) {
    const auto it =
        std::find_if(m_queue.begin(), m_queue.end(), [&](const StartJob& j) { return j.job == job; });
    if (it == m_queue.end()) {
        return std::nullopt;
    }
    StartJob waiting = std::move(*it);
    m_queue.erase(it);
    return waiting;
}

void JobRunner::stop() {
    {
        const std::lock_guard lock(m_mutex);
        m_stopping = true;
        m_queue.clear();
        m_pausing = false;
        if (m_runningStop) {
            m_runningStop->request_stop();
        }
    }
    m_work.notify_one();
}

std::optional<accel::EngineInfo> JobRunner::info() const {
    const std::lock_guard lock(m_mutex);
    return m_info;
}

bool JobRunner::ended() const {
    const std::lock_guard lock(m_mutex);
    return m_ended;
}

int JobRunner::exitCode() const {
    const std::lock_guard lock(m_mutex);
    return m_exitCode;
}

std::uint64_t JobRunner::deviceBytes() const {
    const accel::Engine* engine = m_measured;
    return engine != nullptr ? engine->deviceBytes() : 0;
}

void JobRunner::run() {
    int exitCode = 0;
    try {
        m_engine = m_factory();
        m_measured = m_engine.get();
        const accel::EngineInfo info = m_engine->info();
        {
            const std::lock_guard lock(m_mutex);
            m_info = info;
        }
    } catch (const std::exception& e) {
        logError("worker", std::string("The engine could not be set up: ") + e.what());
        exitCode = 1;
    }
    m_wake();
    while (exitCode == 0) {
        StartJob job;
        std::stop_token stop;
        {
            std::unique_lock lock(m_mutex);
            m_running = 0;
            m_runningStop.reset();
            m_pausing = false;
            m_work.wait(lock, [&] { return m_stopping || !m_queue.empty(); });
            if (m_stopping) {
                break;
            }
            job = std::move(m_queue.front());
            m_queue.pop_front();
            m_running = job.job;
            stop = m_runningStop.emplace().get_token();
        }
        runJob(job, stop);
        if (m_engine->broken()) {
            exitCode = kBrokenExitCode;
        }
    }
    {
        const std::lock_guard lock(m_mutex);
        m_ended = true;
        m_exitCode = exitCode;
    }
    m_wake();
}

Result<JobRunner::Done> JobRunner::generate(const StartJob& job, StreamSink& sink, std::stop_token stop) {
    const auto request = generationRequestFromValue(job.request);
    if (!request)
        return request.error();
    const auto model = modelRecordFromValue(job.model);
    if (!model)
        return model.error();
    const auto summary = m_engine->generate(*request, *model, sink, stop);
    if (!summary)
        return summary.error();
    return Done{toValue(summary->request), summaryValue(*summary)};
}

Result<JobRunner::Done> JobRunner::ask(const StartJob& job, StreamSink& sink, std::stop_token stop) {
    const auto request = askRequestFromValue(job.request);
    if (!request)
        return request.error();
    const auto model = qaModelRecordFromValue(job.model);
    if (!model)
        return model.error();
    const auto answer = m_engine->ask(*request, *model, sink, stop);
    if (!answer)
        return answer.error();
    return Done{toValue(answer->request), toValue(*answer)};
}

Result<JobRunner::Done> JobRunner::calibrate(const StartJob& job, StreamSink& sink, std::stop_token stop) {
    const auto request = calibrationRequestFromValue(job.request);
    if (!request)
        return request.error();
    const auto model = modelRecordFromValue(job.model);
    if (!model)
        return model.error();
    const auto resolved = m_engine->calibrate(*request, *model, sink, stop);
    if (!resolved)
        return resolved.error();
    return Done{toValue(*resolved), Value{Value::Map{}}};
}

Result<JobRunner::Done> JobRunner::similarity(const StartJob& job, std::stop_token stop) {
    const auto request = askRequestFromValue(job.request);
    if (!request)
        return request.error();
    const auto model = qaModelRecordFromValue(job.model);
    if (!model)
        return model.error();
    const auto cell = static_cast<int>(job.request["cell"].asInt(-1));
    const auto cosine = m_engine->similarity(*request, *model, cell, stop);
    if (!cosine)
        return cosine.error();
    Value::Bytes bytes(cosine->size() * sizeof(float));
    std::memcpy(bytes.data(), cosine->data(), bytes.size());
    return Done{job.request, Value{}.set("cosine", std::move(bytes))};
}

Result<JobRunner::Done> JobRunner::perform(const StartJob& job, StreamSink& sink, std::stop_token stop) {
    if (job.kind == "generate")
        return generate(job, sink, stop);
    if (job.kind == "ask")
        return ask(job, sink, stop);
    if (job.kind == "calibrate")
        return calibrate(job, sink, stop);
    if (job.kind == "similarity")
        return similarity(job, stop);
    return makeError(ErrorCode::Unsupported,
                     "This engine makes clips, measures models and answers questions; it was asked for '" +
                         job.kind + "'. Window and engine must be of one version.");
}

void JobRunner::runJob(const StartJob& job, std::stop_token stop) {
    m_gauge.beginJob();
    StreamSink sink(m_channel, job, m_topics, m_gauge, m_remaining, stop, m_pausing);
    Result<Done> summary = makeError(ErrorCode::Internal, "The engine ended without a result.");
    try {
        summary = perform(job, sink, stop);
    } catch (const std::bad_alloc&) {
        summary = makeError(ErrorCode::OutOfMemory, "The system ran out of memory. Choose a smaller size or "
                                                    "fewer frames, or close other programs.");
    } catch (const std::exception& e) {
        summary = makeError(ErrorCode::Internal,
                            std::string("The engine failed in an unexpected way: ") + e.what());
    }
    if (summary && stop.stop_requested()) {
        summary = makeError(ErrorCode::Cancelled, "Cancelled."); // frames may have been dropped by the stop
    }
    if (!summary && summary.error().code == ErrorCode::Cancelled) {
        if (m_pausing) {
            m_engine->freeMemory();
            // The state is worth nothing unless it has arrived. A cancel now is told as a cancel.
            if (m_channel.waitForBlobRoom(0, {}) && m_pausing) {
                tellPaused(job.job);
                return;
            }
        }
        fail(job, summary.error());
        return;
    }
    // Frames, and latents that a failed decode leaves behind, are delivered before the end is told.
    if (!m_channel.waitForBlobRoom(0, stop) && stop.stop_requested()) {
        fail(job, makeError(ErrorCode::Cancelled, "Cancelled."));
        return;
    }
    if (!summary) {
        Value details;
        if (summary.error().code == ErrorCode::OutOfMemory) {
            details.set("stage", stageName(sink.progress().stage));
            details.set("planned_bytes", sink.plannedBytes()).set("peak_bytes", sink.peakBytes());
            m_engine->freeMemory();
        }
        fail(job, summary.error(), std::move(details));
        return;
    }
    Finished finished{job.job, std::move(summary->request), std::move(summary->summary)};
    if (const Result<void> sent = m_channel.send(toValue(WorkerMessage(std::move(finished)))); !sent) {
        fail(job, makeError(ErrorCode::Internal, "The result could not be sent: " + sent.error().message));
    }
}

void JobRunner::tellPaused(JobId job) {
    (void)m_channel.send(toValue(WorkerMessage(Paused{job})));
}

void JobRunner::fail(const StartJob& job, Error error, Value details) {
    m_channel.dropBlobs(job.job);
    Failed failed{job.job, std::move(error), std::move(details)};
    if (const Result<void> sent = m_channel.send(toValue(WorkerMessage(failed))); !sent) {
        failed.error.message.resize(std::min<std::size_t>(failed.error.message.size(), 1000));
        failed.details = {};
        (void)m_channel.send(toValue(WorkerMessage(failed)));
    }
}

} // namespace canopy::worker
