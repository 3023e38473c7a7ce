#pragma once

// Private to core/studio: the thread that takes jobs through their states.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "core/client/worker_client.h"
#include "core/project/clip_library.h"
#include "core/project/job_store.h"
#include "core/protocol/session_file.h"
#include "core/studio/clip_encoder.h"
#include "core/studio/studio.h"

namespace canopy {

/// What the worker said about a job, and what the encoder made of it: the conductor's inbox.
struct JobResolved {
    JobId job = 0;
    Value request;
    Value memoryPlan;
};
struct JobLatents {
    JobId job = 0;
    client::BlobPtr latents;
};
struct JobFrame {
    JobId job = 0;
    client::BlobPtr frame;
};
using StudioEvent = std::variant<JobResolved, JobLatents, JobFrame, client::JobOutcome, EncodeReport>;

/// Queue between the client's and the encoder's threads and the conductor; outlives all of them by shared
/// ownership.
class Inbox : public client::JobListener {
public:
    void push(StudioEvent event);
    void wake(); ///< something changed: look again
    /// Waits for an event, a wake or the time; then everything that has come.
    std::deque<StudioEvent> wait(std::chrono::milliseconds atMost);

    void jobResolved(JobId job, const Value& request, const Value& memoryPlan) override;
    void jobLatents(JobId job, client::BlobPtr latents) override;
    void jobFrame(JobId job, client::BlobPtr frame) override;
    void jobEnded(const client::JobOutcome& outcome) override;

private:
    std::mutex m_mutex;
    std::condition_variable m_arrived;
    std::deque<StudioEvent> m_events;
    bool m_woken = false;
};

/// Owns the worker connection, the encoder and the running job. Public functions are thread-safe; everything
/// else happens on its own thread.
class Conductor {
public:
    Conductor(const StudioOptions& options, JobStore& jobs, ClipLibrary& clips,
              std::vector<std::string> notes, std::string pauseReason);
    /// Ends the running job as interrupted and the worker with it.
    ~Conductor();
    Conductor(const Conductor&) = delete;
    Conductor& operator=(const Conductor&) = delete;

    void wake() { m_inbox->wake(); }
    /// True when the job runs here: its end will be told by its row.
    bool cancelRunning(JobId job);
    void restartWorker();
    void subscribe(std::vector<std::string> topics);
    void holdQueue() { m_held = true; } ///< starts nothing more
    void queueResumed();                ///< the person resumed: forget why it stood still
    std::uint64_t workerBytes() const;
    void forgetFiles(JobId job); ///< latents and first image of a job that leaves the list

    std::shared_ptr<const StudioSnapshot> snapshot() const;
    std::shared_ptr<const StudioSnapshot> waitForChange(std::uint64_t seen,
                                                        std::chrono::milliseconds timeout) const;

private:
    /// The job under way.
    struct Active {
        JobRecord job;
        GenerationRequest request; ///< as sent, then as resolved
        ModelRecord model;
        double startedAt = 0; ///< steadySeconds()
        std::uint64_t plannedBytes = 0;
        double fraction = 0;
        bool cancelAsked = false;
        bool cancelSent = false;
        bool latentsSaved = false;
        bool encoderBegun = false;
        bool finishing = false; ///< all frames are with the encoder
        std::optional<client::JobOutcome> outcome;
        std::optional<Error> encodeError;
        std::optional<EncodeReport> encoded;
    };

    void run(std::stop_token stop);
    void take(StudioEvent event);
    void startNext();
    Result<void> start(JobRecord job);
    void latentsArrived(const client::BlobPtr& latents);
    void frameArrived(const client::BlobPtr& frame);
    void settle(); ///< moves the active job on when worker and encoder have said enough
    void succeed();
    void fail(const Error& error);
    std::string metadataText(const Value& summary) const;
    Value summaryWithTimes(const Value& summary) const;
    void told(const Result<void>& result); ///< logs a job table that cannot be written and tells once
    void note(std::string text);
    void publish();
    JobProgress progressOf(const client::ClientSnapshot& client);
    std::filesystem::path latentsFile(JobId job) const;
    std::filesystem::path imageFile(JobId job) const;

    const StudioOptions m_options;
    JobStore& m_jobs;
    ClipLibrary& m_clips;
    const std::shared_ptr<Inbox> m_inbox = std::make_shared<Inbox>();

    // Conductor thread only.
    std::optional<Active> m_active;
    std::vector<JobRecord> m_rows;
    std::uint64_t m_rowsSeen = ~std::uint64_t{0};
    bool m_paused = false;
    double m_lookedForOthers = 0;
    std::vector<std::string> m_notes;
    std::string m_workerSentence;
    std::map<JobId, std::shared_ptr<const Thumbnail>> m_thumbnails;
    std::shared_ptr<const client::Preview> m_previewSeen;
    std::shared_ptr<const PreviewImage> m_preview;
    std::uint64_t m_clientSeen = ~std::uint64_t{0};
    double m_publishedAt = 0;

    std::atomic<bool> m_dirty = true; ///< the snapshot must be made anew
    std::atomic<bool> m_workerStarted = false;
    std::atomic<bool> m_restartAsked = false;
    std::atomic<bool> m_held = false;

    mutable std::mutex m_mutex; ///< guards the rest
    mutable std::condition_variable m_changed;
    std::shared_ptr<const StudioSnapshot> m_snapshot = std::make_shared<StudioSnapshot>();
    JobId m_runningId = 0;
    std::set<JobId> m_cancelAsked;
    std::string m_pauseReason;

    std::shared_ptr<protocol::SessionWriter> m_recorder;
    std::unique_ptr<client::WorkerClient> m_client;
    std::unique_ptr<ClipEncoder> m_encoder;
    std::jthread m_watcher; ///< wakes the conductor when the client's snapshot changes
    std::jthread m_thread;  ///< last: it uses all of the above
};

} // namespace canopy
