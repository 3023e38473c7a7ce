#pragma once

// Private to core/studio: what other threads tell the conductor.

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <variant>

#include "core/base/value.h"
#include "core/client/job_listener.h"
#include "core/project/job_store.h"
#include "core/studio/clip_encoder.h"
#include "core/studio/frame_sampler.h"

namespace canopy {

/// The worker chose every "auto" field.
struct JobResolved {
    JobId job = 0;
    Value request;
    Value memoryPlan;
};
/// A blob that must not be lost: "latents", "state", "frame", "token_run", "chunk_record", telemetry.
struct JobBlob {
    JobId job = 0;
    client::BlobPtr blob;
};
/// What attention did in one step.
struct JobAttention {
    JobId job = 0;
    Value step;
};
/// Sampling goes on from a saved state.
struct JobResumed {
    JobId job = 0;
    Value point;
};
/// More of an answer.
struct JobWords {
    JobId job = 0;
    std::string text;
};
using StudioEvent = std::variant<JobResolved, JobResumed, JobBlob, JobAttention, JobWords, client::JobOutcome,
                                 EncodeReport, SampleReport>;
JobId jobOf(const StudioEvent& event);

/// Queue between the client's, the encoder's and the sampler's threads and the conductor; outlives all of
/// them by shared ownership.
class Inbox : public client::JobListener {
public:
    void push(StudioEvent event);
    void wake(); ///< something changed: look again
    /// Waits for an event, a wake or the time; then everything that has come.
    std::deque<StudioEvent> wait(std::chrono::milliseconds atMost);

    void jobResolved(JobId job, const Value& request, const Value& memoryPlan) override;
    void jobResumed(JobId job, const Value& point) override;
    void jobState(JobId job, client::BlobPtr state) override;
    void jobWords(JobId job, const std::string& text) override;
    void jobLatents(JobId job, client::BlobPtr latents) override;
    void jobFrame(JobId job, client::BlobPtr frame) override;
    void jobTokens(JobId job, client::BlobPtr run) override;
    void jobAttentionStep(JobId job, const Value& step) override;
    void jobAttentionMasks(JobId job, client::BlobPtr masks) override;
    void jobAttentionStats(JobId job, client::BlobPtr json) override;
    void jobChunks(JobId job, client::BlobPtr part) override;
    void jobEnded(const client::JobOutcome& outcome) override;

private:
    std::mutex m_mutex;
    std::condition_variable m_arrived;
    std::deque<StudioEvent> m_events;
    bool m_woken = false;
};

} // namespace canopy
