#pragma once

// Private to core/studio: a job under way, whatever it makes.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/client/worker_client.h"
#include "core/job/chunk_record.h"
#include "core/project/clip_library.h"
#include "core/project/job_store.h"
#include "core/studio/inbox.h"
#include "core/studio/studio.h"

namespace canopy {

/// What a running job works with. Owned by the conductor, which outlives it.
struct JobTools {
    const StudioOptions& options;
    JobStore& jobs;
    ClipLibrary& clips;
    ClipEncoder& encoder;
    FrameSampler& sampler;
    std::function<void(std::string)> note;         ///< told once by the window
    std::function<void(const Result<void>&)> told; ///< a job table that cannot be written
    std::function<std::uint64_t()> workerBytes;    ///< resident size of the worker
    std::function<void(JobId, std::shared_ptr<const Thumbnail>)> thumbnail; ///< of the job's row
    std::function<void(JobId, std::shared_ptr<const TokenRun>)> answered;   ///< keeps the run for the window
};

/// One claimed job from its inputs to its result. The conductor knows queue, cancel and worker deaths; this
/// knows what is made. Conductor thread.
class RunningJob {
public:
    virtual ~RunningJob() = default;

    /// Checks and begins to gather inputs. An error fails the job.
    virtual Result<void> start() = 0;
    /// What the worker is to be sent; none while inputs are being gathered. Asked until there is one.
    virtual std::optional<client::JobSubmission> submission() = 0;
    virtual void take(StudioEvent event) = 0;
    /// What went wrong here rather than in the worker.
    virtual std::optional<Error> problem() const = 0;
    /// The worker has finished: true once the result is stored and the row says done.
    virtual Result<bool> finish(const client::JobOutcome& outcome) = 0;
    /// All of the worker's part is done; closing waits for the rest.
    virtual bool finishing() const { return false; }
    /// Drops what is unfinished. `keepParts`: unless it is all that is left of the work.
    virtual void abandon(bool keepParts) = 0;
    /// The worker has stopped it to go on later. Keeps what is made; where that stands, in words for the row.
    virtual std::string pause() { return "Paused"; }
    /// Cleans up after a failure, before the row says so.
    virtual void failed(const Error& error) = 0;
    /// The worker's death costs little: queue it again at its place.
    virtual bool resumable() const { return false; }
    /// The next job would fail like this one (a full disk): stop the queue.
    virtual bool stopsQueue(const Error&) const { return false; }

    virtual std::uint64_t plannedBytes() const = 0;
    /// Share of the whole job before the first measured unit, from the stage and its units.
    virtual double roughFraction(const JobProgress& progress) const = 0;
    /// Overrides what the worker said while the rest is done here.
    virtual void describe(JobProgress&) const {}
    /// Of a clip that is made block by block: all rows so far; null otherwise.
    virtual std::shared_ptr<const ChunkRecord> chunks() { return nullptr; }
    virtual ChunkForecast forecast() const { return {}; } ///< of its blocks
    /// Of the same: the frames that are finished.
    virtual std::shared_ptr<const GrownFrames> grown() { return nullptr; }
    /// Of a question: text and tokens so far.
    virtual void describe(AskView&) const {}
};

/// By the kind of the record's request.
std::unique_ptr<RunningJob> makeRunningJob(JobRecord record, const JobTools& tools);

/// Files that a job leaves in the state folder until it is done.
std::filesystem::path latentsFileOf(const StudioOptions& options, JobId job);
std::filesystem::path imageFileOf(const StudioOptions& options, JobId job);
std::filesystem::path baseFileOf(const StudioOptions& options, JobId job);
/// "job-17.canopy" in the state folder: what the unfinished clip goes on from (core/studio/clip_state.h).
std::filesystem::path stateFileOf(const StudioOptions& options, JobId job);
/// The same as the engine takes it: a safetensors file.
std::filesystem::path stateInputOf(const StudioOptions& options, JobId job);
void forgetJobFiles(const StudioOptions& options, JobId job);
/// "chunks/clip-17.cbor" in the data folder: the ChunkRecord of a finished job.
std::filesystem::path chunkFileOf(const StudioOptions& options, JobId job);
/// Beside it: the latents of a finished clip that was made block by block, from which others go on.
std::filesystem::path keptLatentsOf(const StudioOptions& options, JobId job);
/// Studio::measuringFolder().
std::filesystem::path measuringFolderOf(const StudioOptions& options);

} // namespace canopy
