#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/job/attention_telemetry.h"
#include "core/job/generation_request.h"
#include "core/studio/studio_snapshot.h"

namespace canopy {

/// What attention did in one clip, as far as it was watched. A value: live runs, finished ones and recordings
/// are the same to whoever shows them. Parts are shared, so a copy per step is cheap.
struct RunTelemetry {
    using StepPtr = std::shared_ptr<const AttentionStep>;
    using MasksPtr = std::shared_ptr<const std::vector<BlockBitmap>>;

    JobId job = 0;
    std::optional<GenerationRequest> request; ///< as the worker resolved it
    std::vector<StepPtr> steps;               ///< ascending; steps that nobody watched are missing
    std::deque<MasksPtr> masks;               ///< of one call each, oldest first, kMostMaskBytes in all
    std::uint64_t masksDropped = 0;           ///< left out for room, oldest first
    std::uint64_t unreadable = 0;             ///< records that were damaged
    std::shared_ptr<const PreviewImage> preview;
    std::shared_ptr<const ChunkRecord> chunks; ///< of a recording of block-wise sampling; else null
    bool ended = false;

    bool isEmpty() const { return steps.empty(); }                            ///< no attention was watched
    int stepCount() const { return steps.empty() ? 0 : steps.back()->steps; } ///< of the whole clip
    /// Steps before the last one that are not there.
    int missingSteps() const;
    const AttentionStep* step(int index) const;
    const AttentionRecord* call(int step, int layer, GuidanceBranch branch) const;
    const BlockBitmap* mask(int step, int layer, int head, GuidanceBranch branch) const;
    /// The head's mask before the choice that `step` used was made: the newest of an earlier choice.
    const BlockBitmap* maskBefore(int step, int layer, int head, GuidanceBranch branch) const;
};

/// Gathers a RunTelemetry from what a worker sends, live or out of a recording. Bounded. One thread.
class TelemetryLog {
public:
    static constexpr std::size_t kMostMaskBytes = std::size_t{64} << 20;

    void begin(JobId job);
    JobId job() const { return m_run.job; }
    void resolved(const GenerationRequest& request);
    void step(const Value& step);                      ///< an AttentionStep
    void masks(const std::vector<std::uint8_t>& cbor); ///< block masks of one call
    void preview(std::shared_ptr<const PreviewImage> preview);
    void chunks(ChunkRecord part);
    void ended();

    /// The same pointer as before when nothing changed; null before the first begin().
    std::shared_ptr<const RunTelemetry> current() const;

private:
    RunTelemetry m_run;
    ChunkRecord m_chunks;
    std::size_t m_maskBytes = 0;
    mutable std::shared_ptr<const RunTelemetry> m_current;
};

/// The clips of a recording (.canopy) whose attention or chunks were watched, in their order. An error when
/// the file cannot be read or holds none.
Result<std::vector<std::shared_ptr<const RunTelemetry>>> readTelemetry(const std::filesystem::path& file);

/// A recording with this run alone: request, steps, masks, chunks and preview. An existing file is not
/// overwritten.
Result<void> saveTelemetry(const RunTelemetry& run, const std::filesystem::path& file);

} // namespace canopy
