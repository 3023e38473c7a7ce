#pragma once

// Private to core/studio: from a claimed clip to its file.

#include "core/studio/running_job.h"
#include "core/studio/state_keeper.h"

namespace canopy {

class GenerateJob final : public RunningJob {
public:
    GenerateJob(JobRecord record, const JobTools& tools);

    Result<void> start() override;
    std::optional<client::JobSubmission> submission() override;
    void take(StudioEvent event) override;
    std::optional<Error> problem() const override { return m_encodeError; }
    Result<bool> finish(const client::JobOutcome& outcome) override;
    bool finishing() const override { return m_finishing; }
    void abandon(bool keepParts) override;
    std::string pause() override;
    void failed(const Error& error) override;
    bool resumable() const override { return m_latentsSaved || m_from || m_stateArrived; }
    bool stopsQueue(const Error& error) const override;
    std::uint64_t plannedBytes() const override { return m_plannedBytes; }
    double roughFraction(const JobProgress& progress) const override;
    using RunningJob::describe;
    void describe(JobProgress& progress) const override;
    std::shared_ptr<const ChunkRecord> chunks() override;
    ChunkForecast forecast() const override { return m_forecast; }
    std::shared_ptr<const GrownFrames> grown() override { return m_grown.current(); }

private:
    void resolved(const JobResolved& resolved);
    Result<void> gatherInputs(); ///< the first image or video, the earlier clip
    /// What an earlier run saved; without it, or where it cannot be used, the clip begins anew.
    void goOnFromState();
    void resumedAt(const JobResumed& resumed);
    void stateArrived(const client::BlobPtr& state);
    void latentsArrived(const client::BlobPtr& latents);
    void statsArrived(const client::BlobPtr& json);
    void chunksArrived(const client::BlobPtr& part);
    void keepChunks();
    void keepLatents();
    void tellEncoding();
    void frameArrived(const client::BlobPtr& frame);
    Result<bool> succeed(const Value& summary);
    Value summaryWithTimes(const Value& summary) const;
    std::string metadataText(const Value& summary) const;

    const JobTools& m_tools;
    JobRecord m_job;
    GenerationRequest m_request; ///< as sent, then as resolved
    ModelRecord m_model;
    double m_startedAt = 0; ///< steadySeconds()
    std::uint64_t m_plannedBytes = 0;
    bool m_latentsSaved = false;
    bool m_latentsCame = false; ///< sampling is over
    bool m_encoderBegun = false;
    bool m_encodingTold = false;
    bool m_finishing = false;               ///< all frames are with the encoder
    std::string m_base;                     ///< the earlier clip, as it was asked for
    std::optional<SamplingPoint> m_from;    ///< of the saved state that this run was given
    std::optional<SamplingPoint> m_resumed; ///< as the engine said
    bool m_stateArrived = false;
    std::unique_ptr<StateKeeper> m_keeper; ///< from the first state on
    ChunkRecord m_chunks;
    std::shared_ptr<const ChunkRecord> m_chunksShown; ///< copy of m_chunks; null when that has grown
    ChunkForecast m_forecast;
    double m_samplingAt = 0; ///< steadySeconds() of the run's first part, and of its newest row
    double m_rowAt = 0;
    double m_rowSeconds = 0; ///< measured, of all rows
    GrowingClip m_grown;
    std::optional<Error> m_encodeError;
    std::optional<EncodeReport> m_encoded;
};

} // namespace canopy
