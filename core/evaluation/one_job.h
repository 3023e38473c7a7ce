#pragma once

// Private to core/evaluation.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>

#include "core/client/worker_client.h"

namespace canopy::evaluation {

/// Runs jobs on a worker one at a time and hands everything they say to the waiting thread.
class OneJob : public client::JobListener {
public:
    /// Called by wait(), on its thread. Any may be empty.
    struct Events {
        std::function<void(const protocol::Progress&)> progress; ///< the newest
        std::function<void(const client::BlobPtr&)> blob;        ///< in order; frames, statistics, ...
    };

    /// The outcome of `job`; cancels it once when `stop` is requested.
    client::JobOutcome wait(client::JobId job, client::WorkerClient& client, const std::stop_token& stop,
                            const Events& events = {});

    void jobEnded(const client::JobOutcome& outcome) override;
    void jobProgress(const protocol::Progress& progress) override;
    void jobChunks(client::JobId, client::BlobPtr part) override { keep(std::move(part)); }
    void jobLatents(client::JobId, client::BlobPtr latents) override { keep(std::move(latents)); }
    void jobFrame(client::JobId, client::BlobPtr frame) override { keep(std::move(frame)); }
    void jobAttentionStats(client::JobId, client::BlobPtr json) override { keep(std::move(json)); }
    void jobMeasured(client::JobId, client::BlobPtr measurement) override { keep(std::move(measurement)); }

private:
    void keep(client::BlobPtr blob);

    std::mutex m_mutex;
    std::condition_variable m_told;
    std::optional<client::JobOutcome> m_outcome;
    std::optional<protocol::Progress> m_progress;
    std::deque<client::BlobPtr> m_blobs;
};

} // namespace canopy::evaluation
