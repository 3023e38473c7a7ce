#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/client/client_snapshot.h"
#include "core/job/chunk_forecast.h"
#include "core/job/chunk_record.h"
#include "core/project/clip_library.h"
#include "core/project/job_store.h"
#include "core/protocol/messages.h"
#include "core/studio/ask_view.h"
#include "core/studio/grown_frames.h"

namespace canopy {

struct RunTelemetry;

/// The newest animated preview of a running job: `frames` tightly packed RGB pictures one after the other.
struct PreviewImage {
    JobId job = 0;
    int step = 0;
    int width = 0;
    int height = 0;
    int frames = 0;
    std::vector<std::uint8_t> rgb;
};

/// What block-wise sampling has done so far in the running job, or did in the last that ran.
struct ChunkView {
    JobId job = 0;                             ///< 0 = there was none
    std::shared_ptr<const ChunkRecord> record; ///< null with job 0; another object whenever it has grown
    ChunkForecast forecast;                    ///< of what is left; empty when the clip is done
};

/// Where a running job is. All predicted numbers are predicted from this job's measured units.
struct JobProgress {
    protocol::Stage stage = protocol::Stage::Load;
    int unit = 0;  ///< finished units of the stage; denoise: steps
    int units = 0; ///< 0 = unknown
    int block = 0;
    int blocks = 0;
    int chunk =
        0; ///< of a clip made chunk by chunk: the newest that has begun, from 0, and its own next step
    int chunks = 0; ///< 0 = it is not made so
    int chunkStep = 0;
    int chunkSteps = 0;
    double fraction = 0;            ///< of the whole job, 0..1; never goes back
    double unitSeconds = 0;         ///< measured, last finished unit (time per step while denoising)
    double elapsedSeconds = 0;      ///< since the job was started
    double remainingSeconds = 0;    ///< predicted; 0 = not known yet
    double remainingSpread = 0;     ///< half width of its range
    std::uint64_t peakBytes = 0;    ///< measured
    std::uint64_t plannedBytes = 0; ///< predicted by the memory plan for the job's device
    bool stopping = false;          ///< cancel was asked and is not through yet
    bool pausing = false;           ///< the same for pause
};

/// One row of the job list.
struct JobRow {
    JobRecord record;
    std::string title; ///< first words of the prompt or question, one line
    std::string words; ///< the state as shown: "Waiting", "Step 7 of 30", "Done", "Failed: ..." ...
    std::optional<JobProgress> progress;        ///< while running or encoding here
    bool waitsForOther = false;                 ///< runs in another program
    std::shared_ptr<const Thumbnail> thumbnail; ///< from the last preview or the clip; may be null
    bool canCancel = false;
    bool canRetry = false;
    bool canPause = false;  ///< a clip that waits or is being made here
    bool canResume = false; ///< a paused clip
    bool canRemove = false;
};

enum class WorkerState { NotStarted, Starting, Ready, Busy, NotResponding, Restarting, Stopped };
std::string_view workerStateName(WorkerState state); ///< "not_started", "starting", "ready" ...

struct WorkerView {
    WorkerState state = WorkerState::NotStarted;
    std::string words; ///< "Ready", "Starting", "Restarting (1/3)", "Stopped: <cause>"
    std::int64_t pid = 0;
    int threads = 0;
    bool bf16Fast = false;
    std::vector<std::string> devices;
    std::string deviceNote;
    std::uint64_t residentBytes = 0;
    std::uint64_t deviceBytes = 0;
    double heartbeatAge = 0; ///< seconds
};

/// Everything the window shows, at one moment. Immutable; any thread may keep it.
struct StudioSnapshot {
    std::uint64_t sequence = 0; ///< goes up with every difference
    std::vector<JobRow> jobs;   ///< in queue order, finished ones included
    std::vector<AskView> asks;  ///< the questions among them, in the same order
    SimilarityProbe probe;      ///< the last one answered; ask = 0: none yet
    bool queuePaused = false;
    std::string pauseReason; ///< why the queue stands still, in words; empty when it does not or was asked to
    std::string otherProgram; ///< "Another Canopy program (process 123) is making a clip"; empty = none
    JobId running = 0;        ///< job of this program under way; 0 = none
    std::shared_ptr<const PreviewImage> preview; ///< of `running`, or of the last that ran
    std::shared_ptr<const GrownFrames> grown;    ///< finished frames of `running`, made block by block
    ChunkView chunks;                            ///< filled where the topic "chunks" is watched
    /// What attention did in `running` or the last clip that ran, where "attention" is watched; may be null.
    std::shared_ptr<const RunTelemetry> telemetry;
    std::uint64_t libraryChanges = 0; ///< read Studio::clips again when it differs
    WorkerView worker;
    client::SnapshotPtr
        client; ///< of the worker connection, for the profiler: timings, traffic, drops; may be null
    std::vector<std::string> notes; ///< told once each by the window: recovered job list, worker deaths ...

    const JobRow* find(JobId id) const;
    const AskView* findAsk(JobId id) const;
};

} // namespace canopy
