#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/client/worker_client.h"
#include "core/formats/model_config.h"
#include "core/formats/qa_model.h"
#include "core/job/ask_request.h"
#include "core/job/generation_request.h"
#include "core/job/memory_plan.h"
#include "core/job/token_run.h"
#include "core/project/clip_library.h"
#include "core/project/job_store.h"
#include "core/studio/studio_snapshot.h"

namespace canopy {

struct StudioOptions {
    std::filesystem::path dataFolder;  ///< jobs.sqlite3 and clips.sqlite3; empty = canopy::dataFolder()
    std::filesystem::path stateFolder; ///< latents of unfinished jobs; empty = canopy::stateFolder()
    std::filesystem::path clipFolder;  ///< empty = canopy::clipFolder()
    std::string programVersion;        ///< stored in the clips
    /// The model of a request (by modelId, else modelPath), found from headers. Called on the conductor
    /// thread.
    std::function<Result<ModelRecord>(const GenerationRequest&)> findModel;
    /// The same for questions. Empty: this program asks none.
    std::function<Result<QaModelRecord>(const AskRequest&)> findQaModel;
    std::filesystem::path workerProgram;        ///< empty = `canopy-worker` beside the executable
    std::vector<std::string> workerEnvironment; ///< "NAME=value", added to this process's
    client::SupervisionTimes times;             ///< of the worker; tests scale them
    bool startWorkerAtOnce = true;              ///< false: at the first job
    /// The command line: runs only jobs reserved by this process and leaves the rest of the queue alone.
    bool onlyReservedJobs = false;
    /// Where what sparse attention kept and reused is written, as JSON; empty = it is not gathered. The last
    /// clip's, so for one job.
    std::filesystem::path attentionStatsFile;
    /// Where the record of a clip's chunks is written, as JSON, when the clip is done; empty = nowhere beside
    /// the data folder. The last clip's, so for one job.
    std::filesystem::path chunkRecordFile;
    /// What the state of an unfinished clip may take on disk and between two programs; a larger one is saved
    /// without its keys, which are made anew when it goes on. 0 = none is saved.
    std::uint64_t stateBudgetBytes = std::uint64_t{512} << 20;
    double stateSeconds = 20;   ///< at least so long between two saved states
    bool recordLatents = false; ///< in recordFile: latents and frames too, so that a clip can be built on it
    std::filesystem::path recordFile; ///< session file (.canopy) of this worker connection; empty = none
};

/// Why a request cannot be started, one sentence each; empty = it can. Needs no worker.
struct StartCheck {
    std::vector<std::string> problems;
    MemoryPlan plan;               ///< of the request with the model's defaults filled in
    std::uint64_t budgetBytes = 0; ///< what the plan may take on its device
    GenerationRequest request;     ///< defaults filled in
};

/// The same for a question, with what it would cost. The video is not looked at.
struct AskCheck {
    std::vector<std::string> problems;
    AskRequest request; ///< defaults filled in
    MemoryPlan plan;
    std::uint64_t budgetBytes = 0;
    std::int64_t videoTokens = 0;    ///< given to the language model, as planned
    std::int64_t unprunedTokens = 0; ///< cells and newlines of the whole video
    std::uint64_t kvBytes = 0;       ///< of the prompt
    double flop = 0;                 ///< of the prefill
};

/// The conductor that window and command line share: job table, library, worker, encoder. All functions are
/// thread-safe and return at once, but for the commit of the job table (a few ms). One home thread of its
/// own.
class Studio {
public:
    static Result<std::unique_ptr<Studio>> open(StudioOptions options);
    /// Stops a running job (it stays in the list as interrupted; with latents it goes on from them), ends the
    /// worker. With onlyReservedJobs, waiting jobs of this process are cancelled.
    ~Studio();
    Studio(const Studio&) = delete;
    Studio& operator=(const Studio&) = delete;

    // ---- jobs
    // ---------------------------------------------------------------------------------------------------
    /// Checks and appends. After an ok the job survives anything. An error holds all problems, one a line.
    Result<JobId> generate(const GenerationRequest& request, const JobTarget& target = {});
    StartCheck check(const GenerationRequest& request, const JobTarget& target = {}) const;
    /// Appends a question (or, without one, a selection of tokens) to the same queue.
    Result<JobId> ask(const AskRequest& request, const JobTarget& target = {});
    AskCheck checkAsk(const AskRequest& request) const;
    /// The tokens of an answered question, also of earlier starts. Reads a file.
    Result<std::shared_ptr<const TokenRun>> tokenRun(JobId id) const;
    /// What block-wise sampling did in a finished clip, also of earlier starts; kept where the topic "chunks"
    /// was watched. Reads a file.
    Result<std::shared_ptr<const ChunkRecord>> chunkRecord(JobId id) const;
    /// Asks for the similarity of one cell with all others of a question's video; StudioSnapshot::probe
    /// follows. A newer wish replaces one that waits.
    void probe(JobId ask, int cell);
    Result<void> cancel(JobId id); ///< queued: at once; running: within a block, the row says "Stopping"
    /// Only clips. Queued: at once. Running: within a block; what is made so far is kept, the device is free
    /// and the queue goes on. A clip that is done faster than it stops is done. A paused clip stays so over
    /// restarts of the program.
    Result<void> pauseJob(JobId id);
    Result<void>
    resumeJob(JobId id); ///< queued again at its place; it ends with the bits of one never paused
    /// Goes on with the unfinished clip of a saved state: a job's own file in the state folder, or a session
    /// recorded with its state. The former is that job again, the latter a new one. An empty target: as the
    /// clip was asked for. What was saved is told by a note when the engine has taken it.
    Result<JobId> resumeClip(const std::filesystem::path& file, JobTarget target = {});
    Result<void> retry(JobId id);
    Result<JobId> duplicate(JobId id);
    Result<void> remove(JobId id);
    Result<int> clearFinished();
    Result<void> moveBefore(JobId id, JobId before);
    Result<void> pauseQueue();  ///< the running job goes on; nothing new starts
    Result<void> resumeQueue(); ///< also queues interrupted jobs again
    void restartWorker();       ///< after "stopped" or "not responding"; the running job is interrupted

    // ---- what is shown
    // ------------------------------------------------------------------------------------------
    std::shared_ptr<const StudioSnapshot> snapshot() const;
    /// Waits until the snapshot's sequence differs from `seen` or the time is over; then the newest.
    std::shared_ptr<const StudioSnapshot> waitForChange(std::uint64_t seen,
                                                        std::chrono::milliseconds timeout) const;
    /// Topics wanted from the worker: see protocol::Subscribe.
    void subscribe(std::vector<std::string> topics);

    // ---- library
    // ------------------------------------------------------------------------------------------------
    std::vector<Clip> clips(std::string_view search = {}, bool starredOnly = false) const;
    Result<void> setStarred(std::int64_t clip, bool starred);
    Result<void> forgetClip(std::int64_t clip);
    /// Reads the clip folder in the background; the library counter tells when something came.
    void rescanLibrary();

    // ---- speed
    // --------------------------------------------------------------------------------------------------
    /// Where measured speeds are kept (core/studio/speed_record.h).
    std::filesystem::path speedFile() const;
    /// Clips made below this folder are measurements: they never enter the library.
    std::filesystem::path measuringFolder() const;

    /// True when this build can write MP4; without, jobs must ask for a frames folder and keep their latents.
    static bool hasMedia();

private:
    struct Impl;
    explicit Studio(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

/// "a-red-fox-on-the-snow-1234": lower-case letters and digits of the prompt, at most 48 bytes, then the
/// seed. Never empty, never hidden, no path parts.
std::string outputName(std::string_view prompt, std::uint64_t seed);

/// The settings of a clip, for "Reload settings": read from the file, strictly.
Result<GenerationRequest> readClipRequest(const std::filesystem::path& clip);

} // namespace canopy
