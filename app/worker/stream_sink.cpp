#include "app/worker/stream_sink.h"

#include <algorithm>
#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/value_codec.h"
#include "core/job/model_value.h"

namespace canopy::worker {
namespace {

using namespace protocol;

constexpr double kProgressInterval = 1.0 / 20;
constexpr std::uint64_t kFrameBacklogBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kMaskBacklogBytes = std::uint64_t{8} << 20;

} // namespace

StreamSink::StreamSink(Channel& channel, const StartJob& job, const Topics& topics, const MemoryGauge& gauge,
                       RemainingTime& remaining, std::stop_token stop, const std::atomic<bool>& pausing)
    : m_channel(channel)
    , m_job(job.job)
    , m_topics(topics)
    , m_gauge(gauge)
    , m_remaining(remaining)
    , m_stop(std::move(stop))
    , m_unitSince(steadySeconds())
    , m_stageSince(m_unitSince)
    , m_stateBudget(job.stateBudget)
    , m_stateSeconds(job.stateSeconds)
    , m_stateAt(m_unitSince)
    , m_pausing(pausing) {
    m_progress.job = m_job;
}

bool StreamSink::wants(std::string_view topic) const {
    return m_topics.wants(topic);
}

void StreamSink::resolved(const GenerationRequest& request, const MemoryPlan& plan) {
    m_device = request.device;
    m_plannedBytes = plan.peakBytes(request.device);
    m_remaining.begin(double(request.width) * request.height * request.frames);
    (void)m_channel.send(toValue(WorkerMessage(Resolved{m_job, toValue(request), toValue(plan)})));
}

void StreamSink::resolved(const AskRequest& request, const MemoryPlan& plan) {
    m_device = request.device;
    m_plannedBytes = plan.peakBytes(request.device);
    (void)m_channel.send(toValue(WorkerMessage(Resolved{m_job, toValue(request), toValue(plan)})));
}

void StreamSink::resolved(const CalibrationRequest& request, const MemoryPlan& plan) {
    m_device = request.clip.device;
    m_plannedBytes = plan.peakBytes(m_device);
    (void)m_channel.send(toValue(WorkerMessage(Resolved{m_job, toValue(request), toValue(plan)})));
}

void StreamSink::measured(const HeadMeasurement& measurement) {
    BlobStart info;
    info.job = m_job;
    info.kind = "head_measurement";
    m_channel.sendBlob(std::move(info), toCbor(toValue(measurement)), false);
}

void StreamSink::tokens(const TokenRun& run) {
    BlobStart info;
    info.job = m_job;
    info.kind = "token_run";
    m_channel.sendBlob(std::move(info), toCbor(toValue(run)), false);
}

void StreamSink::words(std::string_view text) {
    (void)m_channel.send(toValue(WorkerMessage(Words{m_job, std::string(text)})));
}

void StreamSink::stage(std::string_view name, int unit, int units) {
    const Stage stage = stageFromName(name).value_or(Stage::Load);
    const double now = steadySeconds();
    if (stage != m_progress.stage) {
        m_progress.stage = stage;
        m_progress.unitSeconds = 0;
        m_stageSince = now;
    } else if (unit > m_progress.unit) {
        m_progress.unitSeconds = (now - m_unitSince) / (unit - m_progress.unit);
        for (int i = m_progress.unit; i < unit; ++i) {
            m_remaining.unitFinished(stage, m_progress.unitSeconds);
        }
        if (unit == units) {
            m_remaining.stageFinished(stage, now - m_stageSince);
        }
    }
    m_progress.unit = unit;
    m_progress.units = units;
    m_progress.block = 0;
    m_unitSince = now;
    sendProgress(true);
}

void StreamSink::block(int finished, int blocks) {
    m_progress.block = finished;
    m_progress.blocks = blocks;
    sendProgress(false);
}

void StreamSink::sendProgress(bool always) {
    const double now = steadySeconds();
    if (!always && now - m_sentAt < kProgressInterval) {
        return;
    }
    m_sentAt = now;
    const double fraction = m_progress.blocks > 0 ? double(m_progress.block) / m_progress.blocks : 0;
    const auto left = m_remaining.estimate(m_progress.stage, m_progress.units - m_progress.unit, fraction,
                                           now - m_unitSince);
    m_progress.remainingSeconds = left.seconds;
    m_progress.remainingSpread = left.spread;
    m_progress.peakBytes = peakBytes();
    // The end of a unit is an event: the client's step times are made of it.
    (void)m_channel.send(toValue(WorkerMessage(m_progress)),
                         always ? Channel::Importance::Event : Channel::Importance::Telemetry);
}

void StreamSink::timing(std::string_view name, int step, double seconds) {
    if (m_topics.wants(name.starts_with("block") ? "block_times" : "stage_times")) {
        (void)m_channel.send(toValue(WorkerMessage(Timing{m_job, step, std::string(name), seconds})),
                             Channel::Importance::Telemetry);
    }
}

void StreamSink::preview(int step, int width, int height, int frames, std::vector<std::uint8_t> rgb) {
    if (!m_topics.wants("preview")) {
        return;
    }
    BlobStart info;
    info.job = m_job;
    info.kind = "preview";
    info.width = width;
    info.height = height;
    info.frames = frames;
    info.step = step;
    m_channel.sendBlob(std::move(info), std::move(rgb), true);
}

void StreamSink::attentionStep(const AttentionStep& step) {
    const auto sent = m_channel.send(toValue(WorkerMessage(AttentionStepDone{m_job, toValue(step)})),
                                     Channel::Importance::Telemetry);
    if (!sent)
        logWarning("worker", "Telemetry of a step was not sent: " + sent.error().message);
}

void StreamSink::attentionMasks(const std::vector<BlockBitmap>& masks) {
    if (!m_channel.hasBlobRoom(kMaskBacklogBytes))
        return m_channel.countDropped();
    BlobStart info;
    info.job = m_job;
    info.kind = "attention_masks";
    info.step = masks.front().step;
    m_channel.sendBlob(std::move(info), toCbor(toValue(masks)), false);
}

void StreamSink::attentionStats(std::vector<std::uint8_t> json) {
    BlobStart info;
    info.job = m_job;
    info.kind = "attention_stats";
    m_channel.sendBlob(std::move(info), std::move(json), false);
}

void StreamSink::chunks(const ChunkRecord& part) {
    BlobStart info;
    info.job = m_job;
    info.kind = "chunk_record";
    m_channel.sendBlob(std::move(info), toCbor(toValue(part)), false);
}

bool StreamSink::wantsState(bool stopped) {
    constexpr double kShareOfTime = 50; // one in so many
    m_stateSince = steadySeconds();
    if (m_stateBudget == 0)
        return false;
    if (stopped)
        return m_pausing;
    return m_stateSince - m_stateAt >= std::max(m_stateSeconds, kShareOfTime * m_stateCost) &&
           m_channel.hasBlobRoom(kMaskBacklogBytes);
}

void StreamSink::state(const SamplingPoint& point, std::vector<std::uint8_t> file) {
    BlobStart info;
    info.job = m_job;
    info.kind = "state";
    info.step = point.row;
    m_channel.sendBlob(std::move(info), std::move(file), false);
    m_stateAt = steadySeconds();
    m_stateCost = m_stateAt - m_stateSince;
}

void StreamSink::resumed(const SamplingPoint& from) {
    (void)m_channel.send(toValue(WorkerMessage(Resumed{m_job, toValue(from)})));
}

void StreamSink::latents(std::vector<std::uint8_t> file) {
    BlobStart info;
    info.job = m_job;
    info.kind = "latents";
    m_channel.sendBlob(std::move(info), std::move(file), false);
}

void StreamSink::frame(int index, int count, int width, int height, std::vector<std::uint8_t> rgb) {
    if (!m_channel.waitForBlobRoom(kFrameBacklogBytes, m_stop)) {
        return;
    }
    BlobStart info;
    info.job = m_job;
    info.kind = "frame";
    info.width = width;
    info.height = height;
    info.frames = 1;
    info.index = index;
    info.count = count;
    m_channel.sendBlob(std::move(info), std::move(rgb), false);
}

std::uint64_t StreamSink::peakBytes() const {
    return m_device == DeviceKind::Cuda ? m_gauge.devicePeak : m_gauge.residentPeak;
}

} // namespace canopy::worker
