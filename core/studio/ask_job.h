#pragma once

// Private to core/studio: from a claimed question to its answer.

#include "core/studio/ask_view.h"
#include "core/studio/running_job.h"

namespace canopy {

class AskJob final : public RunningJob {
public:
    AskJob(JobRecord record, const JobTools& tools);

    Result<void> start() override;
    std::optional<client::JobSubmission> submission() override;
    void take(StudioEvent event) override;
    std::optional<Error> problem() const override { return m_problem; }
    Result<bool> finish(const client::JobOutcome& outcome) override;
    void abandon(bool keepParts) override;
    void failed(const Error& error) override;
    std::uint64_t plannedBytes() const override { return m_plannedBytes; }
    double roughFraction(const JobProgress& progress) const override;
    using RunningJob::describe;
    void describe(AskView& view) const override;

private:
    void sampled(SampleReport report);

    const JobTools& m_tools;
    JobRecord m_job;
    AskRequest m_request; ///< as sent, then as resolved
    QaModelRecord m_model;
    double m_startedAt = 0; ///< steadySeconds()
    std::uint64_t m_plannedBytes = 0;
    bool m_framesReady = false;
    std::string m_text; ///< streamed so far
    std::shared_ptr<const TokenRun> m_run;
    std::optional<Error> m_problem;
};

/// What the sampler is asked for a request of this model.
SampleWish sampleWishOf(const AskRequest& request, const QaModelRecord& model);
/// Puts the frames and where they come from into the request.
void fillFrames(AskRequest& request, const SampledVideo& video);

} // namespace canopy
