#include "core/evaluation/one_job.h"

#include <chrono>
#include <utility>

namespace canopy::evaluation {

client::JobOutcome OneJob::wait(client::JobId job, client::WorkerClient& client, const std::stop_token& stop,
                                const Events& events) {
    std::unique_lock lock(m_mutex);
    bool cancelled = false;
    while (true) {
        const auto progress = std::exchange(m_progress, std::nullopt);
        const auto blobs = std::exchange(m_blobs, {});
        const bool ended = m_outcome && m_outcome->job == job; // nothing of it comes after this
        lock.unlock();
        if (progress && events.progress)
            events.progress(*progress);
        for (const client::BlobPtr& blob : blobs)
            if (events.blob && blob->info.job == job)
                events.blob(blob);
        if (stop.stop_requested() && !std::exchange(cancelled, true))
            client.cancel(job);
        lock.lock();
        if (ended)
            return *std::exchange(m_outcome, std::nullopt);
        if (!m_outcome && m_blobs.empty() && !m_progress)
            m_told.wait_for(lock, std::chrono::milliseconds(100));
        else if (m_outcome && m_outcome->job != job)
            m_outcome.reset();
    }
}

void OneJob::jobEnded(const client::JobOutcome& outcome) {
    {
        const std::lock_guard lock(m_mutex);
        m_outcome = outcome;
    }
    m_told.notify_one();
}

void OneJob::jobProgress(const protocol::Progress& progress) {
    {
        const std::lock_guard lock(m_mutex);
        m_progress = progress;
    }
    m_told.notify_one();
}

void OneJob::keep(client::BlobPtr blob) {
    {
        const std::lock_guard lock(m_mutex);
        m_blobs.push_back(std::move(blob));
    }
    m_told.notify_one();
}

} // namespace canopy::evaluation
