#pragma once

// Private to core/studio: similarity of one cell, outside the job table. Conductor thread.

#include <optional>

#include "core/studio/ask_view.h"
#include "core/studio/inbox.h"
#include "core/studio/studio.h"

namespace canopy::client {
class WorkerClient;
}

namespace canopy {

/// One wish at a time; a newer one replaces one that waits for its frames. Its job ids are negative, so that
/// they meet none of the table.
class ProbeRun {
public:
    ProbeRun(const StudioOptions& options, JobStore& jobs, FrameSampler& sampler,
             client::WorkerClient& client, std::weak_ptr<Inbox> inbox);

    void begin(JobId ask, int cell);
    static bool owns(const StudioEvent& event) { return jobOf(event) < 0; }
    void take(StudioEvent event);
    const SimilarityProbe& newest() const { return m_newest; }

private:
    void refuse(std::string sentence);
    void sampled(const SampleReport& report);
    void ended(const client::JobOutcome& outcome);

    const StudioOptions& m_options;
    JobStore& m_jobs;
    FrameSampler& m_sampler;
    client::WorkerClient& m_client;
    const std::weak_ptr<Inbox> m_inbox;
    JobId m_id = 0; ///< of the wish under way
    JobId m_ask = 0;
    int m_cell = -1;
    AskRequest m_request;
    QaModelRecord m_model;
    SimilarityProbe m_newest;
};

} // namespace canopy
