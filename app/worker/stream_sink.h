#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <string_view>
#include <vector>

#include "accel/engine/accel_engine.h"
#include "app/worker/memory_gauge.h"
#include "app/worker/remaining_time.h"
#include "app/worker/topics.h"
#include "core/protocol/channel.h"

namespace canopy::worker {

/// Turns what one job tells into messages: progress at most 20 times a second and always at the end of a
/// unit, previews newest-wins, latents, frames, tokens and words in order and never dropped. Home thread: the
/// inference thread.
class StreamSink : public accel::JobObserver, public accel::AskObserver, public accel::CalibrationObserver {
public:
    /// `pausing`: whether a stop is a pause.
    StreamSink(protocol::Channel& channel, const protocol::StartJob& job, const Topics& topics,
               const MemoryGauge& gauge, RemainingTime& remaining, std::stop_token stop,
               const std::atomic<bool>& pausing);

    bool wants(std::string_view topic) const override;
    void resolved(const GenerationRequest& request, const MemoryPlan& plan) override;
    void stage(std::string_view name, int unit, int units) override;
    void block(int finished, int blocks) override;
    void timing(std::string_view name, int step, double seconds) override;
    void preview(int step, int width, int height, int frames, std::vector<std::uint8_t> rgb) override;
    void attentionStep(const AttentionStep& step) override;
    void attentionMasks(const std::vector<BlockBitmap>& masks) override;
    void attentionStats(std::vector<std::uint8_t> json) override;
    void chunks(const ChunkRecord& part) override;
    std::uint64_t stateBudget() const override { return m_stateBudget; }
    /// At most every `stateSeconds`, and so that it takes no more than a fiftieth of the time; at a pause.
    bool wantsState(bool stopped) override;
    void state(const SamplingPoint& point, std::vector<std::uint8_t> file) override;
    void resumed(const SamplingPoint& from) override;
    void latents(std::vector<std::uint8_t> file) override;
    /// Waits while 64 MiB of frames wait for the client's credit; a stop ends the wait, the frame is dropped
    /// then.
    void frame(int index, int count, int width, int height, std::vector<std::uint8_t> rgb) override;

    void resolved(const AskRequest& request, const MemoryPlan& plan) override;
    void tokens(const TokenRun& run) override;
    void words(std::string_view text) override;

    void resolved(const CalibrationRequest& request, const MemoryPlan& plan) override;
    void measured(const HeadMeasurement& measurement) override;

    const protocol::Progress& progress() const { return m_progress; }
    std::uint64_t plannedBytes() const { return m_plannedBytes; }
    std::uint64_t peakBytes() const;

private:
    void sendProgress(bool always);

    protocol::Channel& m_channel;
    const protocol::JobId m_job;
    const Topics& m_topics;
    const MemoryGauge& m_gauge;
    RemainingTime& m_remaining;
    const std::stop_token m_stop;
    DeviceKind m_device = DeviceKind::Cpu;
    std::uint64_t m_plannedBytes = 0;
    protocol::Progress m_progress;
    double m_unitSince = 0;
    double m_stageSince = 0;
    double m_sentAt = 0;
    const std::uint64_t m_stateBudget;
    const double m_stateSeconds;
    double m_stateAt = 0;    ///< when the last one was sent
    double m_stateSince = 0; ///< when the one that is made was asked for
    double m_stateCost = 0;  ///< seconds that the last one took
    const std::atomic<bool>& m_pausing;
};

} // namespace canopy::worker
