#include "core/studio/inbox.h"

#include <utility>

namespace canopy {

JobId jobOf(const StudioEvent& event) {
    return std::visit([](const auto& e) { return e.job; }, event);
}

void Inbox::push(StudioEvent event) {
    {
        const std::lock_guard lock(m_mutex);
        m_events.push_back(std::move(event));
    }
    m_arrived.notify_one();
}

void Inbox::wake() {
    {
        const std::lock_guard lock(m_mutex);
        m_woken = true;
    }
    m_arrived.notify_one();
}

std::deque<StudioEvent> Inbox::wait(std::chrono::milliseconds atMost) {
    std::unique_lock lock(m_mutex);
    m_arrived.wait_for(lock, atMost, [&] { return m_woken || !m_events.empty(); });
    m_woken = false;
    return std::exchange(m_events, {});
}

void Inbox::jobResolved(JobId job, const Value& request, const Value& memoryPlan) {
    push(JobResolved{job, request, memoryPlan});
}
void Inbox::jobResumed(JobId job, const Value& point) {
    push(JobResumed{job, point});
}
void Inbox::jobState(JobId job, client::BlobPtr state) {
    push(JobBlob{job, std::move(state)});
}
void Inbox::jobWords(JobId job, const std::string& text) {
    push(JobWords{job, text});
}
void Inbox::jobLatents(JobId job, client::BlobPtr latents) {
    push(JobBlob{job, std::move(latents)});
}
void Inbox::jobFrame(JobId job, client::BlobPtr frame) {
    push(JobBlob{job, std::move(frame)});
}
void Inbox::jobTokens(JobId job, client::BlobPtr run) {
    push(JobBlob{job, std::move(run)});
}
void Inbox::jobAttentionStep(JobId job, const Value& step) {
    push(JobAttention{job, step});
}
void Inbox::jobAttentionMasks(JobId job, client::BlobPtr masks) {
    push(JobBlob{job, std::move(masks)});
}
void Inbox::jobAttentionStats(JobId job, client::BlobPtr json) {
    push(JobBlob{job, std::move(json)});
}
void Inbox::jobChunks(JobId job, client::BlobPtr part) {
    push(JobBlob{job, std::move(part)});
}
void Inbox::jobEnded(const client::JobOutcome& outcome) {
    push(outcome);
}

} // namespace canopy
