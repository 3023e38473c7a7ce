#pragma once

// Private to core/studio: the thread that takes jobs through their states.

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/client/worker_client.h"
#include "core/project/clip_library.h"
#include "core/project/job_store.h"
#include "core/protocol/session_file.h"
#include "core/studio/clip_encoder.h"
#include "core/studio/frame_sampler.h"
#include "core/studio/inbox.h"
#include "core/studio/probe_run.h"
#include "core/studio/run_telemetry.h"
#include "core/studio/running_job.h"
#include "core/studio/studio.h"

namespace canopy {

/// Takes jobs through queue, cancel and worker deaths; what a job makes is RunningJob's. Owns the worker
/// connection, the encoder, the sampler and the running job. Public functions are thread-safe; everything
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
    bool pauseRunning(JobId job);
    void restartWorker();
    void subscribe(std::vector<std::string> topics);
    void holdQueue() { m_held = true; } ///< starts nothing more
    void queueResumed();                ///< the person resumed: forget why it stood still
    std::uint64_t workerBytes() const;
    void forgetFiles(JobId job); ///< what a job that leaves the list kept beside its row
    void forgetUnfinished(JobId job) { forgetJobFiles(m_options, job); } ///< what it would go on from
    void probe(JobId ask, int cell);

    std::shared_ptr<const StudioSnapshot> snapshot() const;
    std::shared_ptr<const StudioSnapshot> waitForChange(std::uint64_t seen,
                                                        std::chrono::milliseconds timeout) const;

private:
    /// The job under way.
    struct Active {
        JobRecord record;
        std::unique_ptr<RunningJob> job;
        double startedAt = 0; ///< steadySeconds()
        double fraction = 0;
        bool submitted = false;
        bool cancelAsked = false;
        bool cancelSent = false;
        bool pauseAsked = false;
        bool pauseSent = false;
        std::optional<client::JobOutcome> outcome;
    };
    /// What the window is shown of an answered question.
    struct Answered {
        std::optional<Answer> answer;
        std::shared_ptr<const TokenRun> run;
    };

    void run(std::stop_token stop);
    void take(StudioEvent event);
    void startNext();
    Result<void> start(JobRecord record);
    Result<void> submitWhenReady();
    void settle(); ///< moves the active job on when worker and helpers have said enough
    void settleInterrupted(const Error& error);
    void settlePaused();
    void fail(const Error& error);
    void endActive();
    void takeChunks();                     ///< what the active job says of its blocks
    void told(const Result<void>& result); ///< logs a job table that cannot be written and tells once
    void note(std::string text);
    void publish();
    bool takeTelemetry(const StudioEvent& event); ///< true when it was nothing else
    void takePreview(const client::ClientSnapshot& client);
    JobRow rowOf(const JobRecord& record, const client::ClientSnapshot& client);
    AskView askOf(const JobRow& row);
    JobProgress progressOf(const client::ClientSnapshot& client);

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
    std::map<JobId, Answered> m_answered;
    std::shared_ptr<const client::Preview> m_previewSeen;
    std::shared_ptr<const PreviewImage> m_preview;
    ChunkView m_chunks;
    TelemetryLog m_telemetry; ///< of the clip under way or the last one
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
    std::set<JobId> m_pauseAsked;
    std::string m_pauseReason;
    std::optional<std::pair<JobId, int>> m_probeWish;

    std::shared_ptr<protocol::SessionWriter> m_recorder;
    std::unique_ptr<client::WorkerClient> m_client;
    std::unique_ptr<ClipEncoder> m_encoder;
    std::unique_ptr<FrameSampler> m_sampler;
    std::unique_ptr<JobTools> m_tools;
    std::unique_ptr<ProbeRun> m_probe; ///< conductor thread
    std::jthread m_watcher;            ///< wakes the conductor when the client's snapshot changes
    std::jthread m_thread;             ///< last: it uses all of the above
};

} // namespace canopy
