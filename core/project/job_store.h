#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/job/job_request.h"

namespace canopy {

using JobId = std::int64_t;

/// queued -> running -> encoding -> done | failed | cancelled; running and encoding become interrupted when
/// the program that ran them is gone, and quarantined when they ended the worker twice. queued and running
/// become paused when the person asks, and queued again at their place. Stored by name.
enum class JobState { Queued, Running, Encoding, Done, Failed, Cancelled, Interrupted, Quarantined, Paused };

std::string_view jobStateName(JobState state); ///< "queued", ...
constexpr bool isFinished(JobState state) {
    return state != JobState::Queued && state != JobState::Running && state != JobState::Encoding &&
           state != JobState::Paused;
}

/// A process that may own jobs. The start time (clock ticks since boot) tells it from a later one of the same
/// number.
struct ProcessId {
    std::int64_t pid = 0;
    std::uint64_t startTicks = 0;
    bool operator==(const ProcessId&) const = default;
};
ProcessId currentProcess();
bool isAlive(const ProcessId& process);

/// Where a job's result goes. All empty: a name made from the prompt, in the clip folder.
struct JobTarget {
    std::filesystem::path file;      ///< the MP4 asked for; an existing file is never overwritten
    std::filesystem::path framesDir; ///< PNG frames besides; empty = none
    /// Runs in the appending process only, also while the queue is paused (the command line waits for it).
    /// Freed for everybody when that process is gone.
    bool reserved = false;
    bool operator==(const JobTarget&) const = default;
};

/// One row. A value: changing it changes nothing.
struct JobRecord {
    JobId id = 0;
    std::int64_t place = 0; ///< order in the queue
    JobState state = JobState::Queued;
    JobRequest request; ///< as resolved by the worker from the moment it said so
    JobTarget target;
    int attempt = 0;                      ///< times it was started
    int workerDeaths = 0;                 ///< times the worker ended while it ran
    std::uint64_t epoch = 0;              ///< of the worker that ran it last
    std::optional<ProcessId> owner;       ///< running or encoding it; of a reserved queued job: who may
    ErrorCode code = ErrorCode::Internal; ///< failed, interrupted, quarantined: why
    std::string sentence;                 ///< the same in words; empty otherwise
    std::filesystem::path latentsFile;    ///< denoising is done and lies here; empty = no
    std::filesystem::path
        resultFile;                ///< done: the clip, or the record of an answer (core/studio/answer_file.h)
    std::int64_t queuedMillis = 0; ///< wall clock; 0 = not yet
    std::int64_t startedMillis = 0;
    std::int64_t endedMillis = 0;
    Value summary; ///< what the worker said at the end: seconds by stage, peak and planned bytes

    /// The request by kind; null for the other.
    const GenerationRequest* clip() const { return std::get_if<GenerationRequest>(&request); }
    const AskRequest* question() const { return std::get_if<AskRequest>(&request); }
};

/// What opening found, for the person.
struct JobStoreReport {
    std::string note;                 ///< "The list of jobs was damaged and ..."; empty = nothing to tell
    std::filesystem::path movedAside; ///< the damaged file, byte for byte
    int interrupted = 0; ///< jobs that a vanished program had left running; the queue is paused then
};

/// The one ordered job table (SQLite, WAL, synchronous=FULL). Thread-safe. Two processes may use it at once.
/// A change is acknowledged (returned ok) only after COMMIT.
class JobStore {
public:
    /// Opens or creates. A damaged file is moved aside and told in the report; one of a newer version is
    /// refused.
    static Result<std::unique_ptr<JobStore>> open(const std::filesystem::path& file,
                                                  JobStoreReport* report = nullptr);
    ~JobStore();
    JobStore(const JobStore&) = delete;
    JobStore& operator=(const JobStore&) = delete;

    Result<JobId> append(const JobRequest& request, const JobTarget& target = {});
    /// The same, but paused: for requeue() once its files are there.
    Result<JobId> appendPaused(const JobRequest& request, const JobTarget& target);
    Result<std::optional<JobRecord>> find(JobId id) const;
    Result<std::vector<JobRecord>> all() const; ///< in queue order
    /// Goes up with every change by this or any other process.
    std::uint64_t changeCounter() const;

    Result<bool> queuePaused() const;
    Result<void> setQueuePaused(bool paused);

    /// Takes the first job that this process may run: queued -> running, attempt + 1, in one transaction.
    /// None when the queue is empty or paused, or while another living process runs a job (one worker at a
    /// time). `onlyReserved`: take no job but those reserved by this process.
    Result<std::optional<JobRecord>> claimNext(std::uint64_t epoch, bool onlyReserved = false);
    /// The living process that runs a job now and is not this one.
    Result<std::optional<ProcessId>> otherRunner() const;
    /// Jobs of processes that are gone: running and encoding become interrupted (and the queue is paused when
    /// `pauseQueue`), reservations are freed. Called by open; again whenever somebody waits for another
    /// process.
    Result<int> releaseDeadOwners(bool pauseQueue);

    // All of the following need a job that this process runs.
    Result<void> setEpoch(JobId id, std::uint64_t epoch);
    Result<void> setResolved(JobId id, const JobRequest& request);
    Result<void> setLatents(JobId id, const std::filesystem::path& latentsFile);
    Result<void> setEncoding(JobId id);
    Result<void> setDone(JobId id, const std::filesystem::path& resultFile, const Value& summary);
    Result<void> setFailed(JobId id, const Error& error);
    Result<void> setCancelled(JobId id); ///< of a job that this process runs
    Result<void> cancelQueued(JobId id); ///< of one that nobody has claimed, or that is paused
    /// `where` in words: "Paused at step 7 of 30".
    Result<void> setPaused(JobId id, const std::string& where);
    /// The worker ended under it. The second time quarantined. `requeue`: queued again at its place instead
    /// of interrupted (when only the decode is left).
    Result<JobState> setWorkerLost(JobId id, const Error& error, bool requeue);
    Result<void> setInterrupted(JobId id, const Error& error);

    /// Of a queued job that no other living program waits for.
    Result<void> pauseQueued(JobId id);
    Result<void> resumePaused(JobId id); ///< queued again at its place
    /// A paused, interrupted, failed or quarantined job, queued again at its place; `reserve`: for this
    /// process only. Forgets worker deaths.
    Result<void> requeue(JobId id, bool reserve);

    /// A finished job that is not done, queued again at the end; forgets its worker deaths. Latents are kept.
    Result<void> retry(JobId id);
    /// Queues all interrupted jobs again at their places. Returns how many.
    Result<int> requeueInterrupted();
    /// A new queued job with the same request (resume and output file left out).
    Result<JobId> duplicate(JobId id);
    Result<void> remove(JobId id); ///< a finished, queued or paused one
    Result<int> clearFinished();   ///< done, failed, cancelled; keeps interrupted and quarantined
    /// Moves a queued job before another queued one, or to the end when `before` is 0.
    Result<void> move(JobId id, JobId before);

private:
    struct Impl;
    explicit JobStore(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace canopy
