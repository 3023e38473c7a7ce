#include "core/project/job_store.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/value_codec.h"
#include "core/project/database.h"

namespace canopy {
namespace {

constexpr std::string_view kStateNames[] = {"queued",    "running",     "encoding",    "done",  "failed",
                                            "cancelled", "interrupted", "quarantined", "paused"};

constexpr int kSchemaVersion = 2;
constexpr const char* kSchema = R"(
CREATE TABLE jobs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  place INTEGER NOT NULL,
  state TEXT NOT NULL,
  kind TEXT NOT NULL DEFAULT 'generate',
  request TEXT NOT NULL,
  target_file TEXT NOT NULL DEFAULT '',
  frames_dir TEXT NOT NULL DEFAULT '',
  reserved INTEGER NOT NULL DEFAULT 0,
  attempt INTEGER NOT NULL DEFAULT 0,
  worker_deaths INTEGER NOT NULL DEFAULT 0,
  epoch INTEGER NOT NULL DEFAULT 0,
  owner_pid INTEGER NOT NULL DEFAULT 0,
  owner_start INTEGER NOT NULL DEFAULT 0,
  code TEXT NOT NULL DEFAULT '',
  sentence TEXT NOT NULL DEFAULT '',
  latents TEXT NOT NULL DEFAULT '',
  result TEXT NOT NULL DEFAULT '',
  queued_ms INTEGER NOT NULL DEFAULT 0,
  started_ms INTEGER NOT NULL DEFAULT 0,
  ended_ms INTEGER NOT NULL DEFAULT 0,
  summary TEXT NOT NULL DEFAULT 'null');
CREATE INDEX jobs_by_place ON jobs(place);
CREATE TABLE flags(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
PRAGMA user_version = 2;
)";
/// Version 1 knew clips only.
constexpr const char* kFromVersion1 = R"(
ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'generate';
PRAGMA user_version = 2;
)";

constexpr std::string_view kColumns =
    "id, place, state, request, target_file, frames_dir, reserved, attempt, worker_deaths, epoch, owner_pid, "
    "owner_start, code, sentence, latents, result, queued_ms, started_ms, ended_ms, summary, kind";

constexpr std::string_view kNotSaved = "The list of jobs could not be saved";
constexpr std::string_view kNotRead = "The list of jobs could not be read";

/// Two prompts of 64 KiB, each byte escaped, and the rest.
constexpr CodecLimits kRequestLimits{.maxBytes = std::size_t{2} << 20};

std::int64_t asColumn(std::uint64_t v) {
    return static_cast<std::int64_t>(v);
}

JobRecord readRow(const db::Statement& s) {
    JobRecord job;
    job.id = s.integer(0);
    job.place = s.integer(1);
    const auto name = std::find(std::begin(kStateNames), std::end(kStateNames), s.text(2));
    job.state = name == std::end(kStateNames) ? JobState::Failed
                                              : static_cast<JobState>(name - std::begin(kStateNames));
    job.target = {s.text(4), s.text(5), s.integer(6) != 0};
    job.attempt = static_cast<int>(s.integer(7));
    job.workerDeaths = static_cast<int>(s.integer(8));
    job.epoch = static_cast<std::uint64_t>(s.integer(9));
    if (s.integer(10) != 0)
        job.owner = ProcessId{s.integer(10), static_cast<std::uint64_t>(s.integer(11))};
    job.code = errorCodeFromName(s.text(12)).value_or(ErrorCode::Internal);
    job.sentence = s.text(13);
    job.latentsFile = s.text(14);
    job.resultFile = s.text(15);
    job.queuedMillis = s.integer(16);
    job.startedMillis = s.integer(17);
    job.endedMillis = s.integer(18);
    if (auto summary = parseJson(s.text(19), kRequestLimits))
        job.summary = std::move(*summary);
    const auto map = parseJson(s.text(3), kRequestLimits);
    auto request = map ? jobRequestFromValue(s.text(20), *map) : Result<JobRequest>(map.error());
    if (request) {
        job.request = std::move(*request);
    } else {
        job.state = JobState::Failed;
        job.code = request.error().code;
        job.sentence = "The stored settings of this job cannot be read: " + request.error().message;
    }
    return job;
}

Error notRunningHere(JobId id) {
    return makeError(ErrorCode::NotFound,
                     "Job " + std::to_string(id) +
                         " is not being made by this program; look at its state and try again.");
}

} // namespace

std::string_view jobStateName(JobState state) {
    return kStateNames[static_cast<std::size_t>(state)];
}

struct JobStore::Impl {
    std::unique_ptr<db::Database> database;
    ProcessId self = currentProcess();
    mutable std::mutex mutex; ///< guards everything below and the order of statements
    mutable std::int64_t seenDataVersion = 0;
    mutable std::uint64_t changes = 0;

    sqlite3* handle() const { return database->handle(); }

    /// Runs `body` inside one transaction; its error rolls back.
    template <typename Body>
    auto inTransaction(Body body) -> decltype(body()) {
        const std::lock_guard lock(mutex);
        db::Transaction transaction(*database);
        if (!transaction.begun())
            return database->error(kNotSaved);
        auto result = body();
        if (!result)
            return result;
        if (!transaction.commit())
            return database->error(kNotSaved);
        ++changes;
        return result;
    }

    Result<void> finish(db::Statement& s) const {
        s.step();
        if (s.failed())
            return database->error(kNotSaved);
        return {};
    }

    /// One UPDATE that must hit exactly the row of a job that this process runs.
    Result<void> updateOwn(JobId id, std::string_view set, auto bindAll) {
        return inTransaction([&]() -> Result<void> {
            db::Statement s(handle(),
                            "UPDATE jobs SET " + std::string(set) +
                                " WHERE id = ? AND state IN ('running', 'encoding') AND owner_pid = ? "
                                "AND owner_start = ?");
            bindAll(s);
            s.bind(id).bind(self.pid).bind(asColumn(self.startTicks));
            if (auto done = finish(s); !done)
                return done;
            if (sqlite3_changes(handle()) != 1)
                return notRunningHere(id);
            return {};
        });
    }

    Result<void> end(JobId id, JobState state, const Error& error) {
        return updateOwn(id,
                         "state = ?, code = ?, sentence = ?, ended_ms = ?, owner_pid = 0, owner_start = 0, "
                         "reserved = 0",
                         [&](db::Statement& s) {
                             s.bind(jobStateName(state)).bind(errorCodeName(error.code)).bind(error.message);
                             s.bind(wallMillis());
                         });
    }

    Result<std::int64_t> flag(std::string_view name) const {
        db::Statement s(handle(), "SELECT value FROM flags WHERE name = ?");
        s.bind(name);
        if (s.step())
            return s.integer(0);
        if (s.failed())
            return database->error(kNotRead);
        return std::int64_t{0};
    }
    Result<void> setFlag(std::string_view name, std::int64_t value) const {
        db::Statement s(handle(), "INSERT INTO flags(name, value) VALUES(?, ?) "
                                  "ON CONFLICT(name) DO UPDATE SET value = excluded.value");
        s.bind(name).bind(value);
        return finish(s);
    }

    Result<std::optional<JobRecord>> find(JobId id) const {
        db::Statement s(handle(), "SELECT " + std::string(kColumns) + " FROM jobs WHERE id = ?");
        s.bind(id);
        if (s.step())
            return std::optional(readRow(s));
        if (s.failed())
            return database->error(kNotRead);
        return std::optional<JobRecord>();
    }

    Result<JobId> insert(const JobRequest& request, const JobTarget& target) {
        db::Statement s(
            handle(),
            "INSERT INTO jobs(place, state, kind, request, target_file, frames_dir, reserved, owner_pid, "
            "owner_start, queued_ms) "
            "VALUES((SELECT COALESCE(MAX(place), 0) + 1 FROM jobs), 'queued', ?, ?, ?, ?, ?, ?, ?, ?)");
        s.bind(jobKindName(request));
        s.bind(toJson(toValue(withoutTransients(request))))
            .bind(target.file.native())
            .bind(target.framesDir.native());
        s.bind(std::int64_t{target.reserved});
        s.bind(target.reserved ? self.pid : std::int64_t{0});
        s.bind(target.reserved ? asColumn(self.startTicks) : std::int64_t{0});
        s.bind(wallMillis());
        if (auto done = finish(s); !done)
            return done.error();
        return JobId{sqlite3_last_insert_rowid(handle())};
    }

    /// The owners of running jobs that are another process and live.
    std::optional<ProcessId> otherLivingRunner() const {
        db::Statement s(handle(),
                        "SELECT owner_pid, owner_start FROM jobs WHERE state IN ('running', 'encoding')");
        while (s.step()) {
            const ProcessId owner{s.integer(0), static_cast<std::uint64_t>(s.integer(1))};
            if (owner != self && isAlive(owner))
                return owner;
        }
        return std::nullopt;
    }
};

JobStore::JobStore(std::unique_ptr<Impl> impl)
    : m_impl(std::move(impl)) {}
JobStore::~JobStore() = default;

Result<std::unique_ptr<JobStore>> JobStore::open(const std::filesystem::path& file, JobStoreReport* report) {
    JobStoreReport unused;
    JobStoreReport& told = report ? *report : unused;
    told = {};

    const auto openOnce = [&](bool& damaged) -> Result<std::unique_ptr<db::Database>> {
        auto database = db::Database::open(file, damaged);
        if (!database)
            return database;
        const std::int64_t version = (*database)->userVersion();
        if (version > kSchemaVersion)
            return makeError(ErrorCode::Unsupported,
                             "The list of jobs was written by a newer Canopy (its version is " +
                                 std::to_string(version) + ", this program knows " +
                                 std::to_string(kSchemaVersion) +
                                 "); update this program, or move the file away: " + file.string());
        if (version == 0) {
            db::Transaction transaction(**database);
            // Another process may have made the tables while we waited for the lock.
            if (!transaction.begun() || ((*database)->userVersion() == 0 && !(*database)->run(kSchema)) ||
                !transaction.commit())
                return (*database)->error("The list of jobs could not be made");
        } else if (version == 1) {
            db::Transaction transaction(**database);
            if (!transaction.begun() ||
                ((*database)->userVersion() == 1 && !(*database)->run(kFromVersion1)) ||
                !transaction.commit())
                return (*database)->error("The list of jobs of an earlier version could not be taken over");
        }
        db::Statement probe((*database)->handle(), "SELECT " + std::string(kColumns) + " FROM jobs LIMIT 1");
        db::Statement flags((*database)->handle(), "SELECT name, value FROM flags LIMIT 1");
        probe.step();
        flags.step();
        if (probe.failed() || flags.failed()) {
            damaged = true;
            return makeError(ErrorCode::Malformed,
                             "The list of jobs has not the expected tables: " + file.string());
        }
        return database;
    };

    bool damaged = false;
    auto database = openOnce(damaged);
    if (!database && damaged) {
        auto aside = db::moveDamagedAside(file);
        if (!aside)
            return aside.error();
        told.movedAside = *aside;
        told.note = "The list of jobs was damaged and a new one was started; clips are not affected. The "
                    "damaged file "
                    "was kept: " +
                    aside->string();
        logError("project", told.note);
        database = openOnce(damaged);
    }
    if (!database)
        return database.error();

    auto impl = std::make_unique<Impl>();
    impl->database = std::move(*database);
    impl->seenDataVersion = impl->database->dataVersion();
    std::unique_ptr<JobStore> store(new JobStore(std::move(impl)));
    auto interrupted = store->releaseDeadOwners(true);
    if (!interrupted)
        return interrupted.error();
    told.interrupted = *interrupted;
    return store;
}

Result<JobId> JobStore::append(const JobRequest& request, const JobTarget& target) {
    return m_impl->inTransaction([&] { return m_impl->insert(request, target); });
}

Result<JobId> JobStore::appendPaused(const JobRequest& request, const JobTarget& target) {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<JobId> {
        JobTarget freed = target;
        freed.reserved = false;
        const auto id = d.insert(request, freed);
        if (!id)
            return id;
        db::Statement s(d.handle(), "UPDATE jobs SET state = 'paused' WHERE id = ?");
        s.bind(*id);
        if (auto done = d.finish(s); !done)
            return done.error();
        return id;
    });
}

Result<std::optional<JobRecord>> JobStore::find(JobId id) const {
    const std::lock_guard lock(m_impl->mutex);
    return m_impl->find(id);
}

Result<std::vector<JobRecord>> JobStore::all() const {
    const std::lock_guard lock(m_impl->mutex);
    db::Statement s(m_impl->handle(), "SELECT " + std::string(kColumns) + " FROM jobs ORDER BY place, id");
    std::vector<JobRecord> jobs;
    while (s.step())
        jobs.push_back(readRow(s));
    if (s.failed())
        return m_impl->database->error(kNotRead);
    return jobs;
}

std::uint64_t JobStore::changeCounter() const {
    const std::lock_guard lock(m_impl->mutex);
    const std::int64_t version = m_impl->database->dataVersion();
    if (version != m_impl->seenDataVersion) {
        m_impl->seenDataVersion = version;
        ++m_impl->changes;
    }
    return m_impl->changes;
}

Result<bool> JobStore::queuePaused() const {
    const std::lock_guard lock(m_impl->mutex);
    auto flag = m_impl->flag("queue_paused");
    if (!flag)
        return flag.error();
    return *flag != 0;
}

Result<void> JobStore::setQueuePaused(bool paused) {
    return m_impl->inTransaction([&] { return m_impl->setFlag("queue_paused", paused); });
}

Result<std::optional<JobRecord>> JobStore::claimNext(std::uint64_t epoch, bool onlyReserved) {
    using Claimed = std::optional<JobRecord>;
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<Claimed> {
        db::Statement running(
            d.handle(), "SELECT owner_pid, owner_start FROM jobs WHERE state IN ('running', 'encoding')");
        while (running.step()) {
            const ProcessId owner{running.integer(0), static_cast<std::uint64_t>(running.integer(1))};
            if (owner == d.self || isAlive(owner))
                return Claimed{};
        }
        const auto paused = d.flag("queue_paused");
        if (!paused)
            return paused.error();

        JobId chosen = 0;
        db::Statement queued(d.handle(), "SELECT id, reserved, owner_pid, owner_start FROM jobs "
                                         "WHERE state = 'queued' ORDER BY place, id");
        while (chosen == 0 && queued.step()) {
            const ProcessId owner{queued.integer(2), static_cast<std::uint64_t>(queued.integer(3))};
            const bool reserved = queued.integer(1) != 0;
            const bool mine = reserved && owner == d.self;
            const bool others = reserved && !mine && isAlive(owner);
            if (mine || (!others && !onlyReserved && *paused == 0))
                chosen = queued.integer(0);
        }
        if (running.failed() || queued.failed())
            return d.database->error(kNotRead);
        if (chosen == 0)
            return Claimed{};
        db::Statement claim(d.handle(),
                            "UPDATE jobs SET state = 'running', attempt = attempt + 1, epoch = ?, "
                            "owner_pid = ?, owner_start = ?, started_ms = ?, ended_ms = 0, code = '', "
                            "sentence = '' WHERE id = ?");
        claim.bind(asColumn(epoch)).bind(d.self.pid).bind(asColumn(d.self.startTicks)).bind(wallMillis());
        claim.bind(chosen);
        if (auto done = d.finish(claim); !done)
            return done.error();
        return d.find(chosen);
    });
}

Result<std::optional<ProcessId>> JobStore::otherRunner() const {
    const std::lock_guard lock(m_impl->mutex);
    return m_impl->otherLivingRunner();
}

Result<int> JobStore::releaseDeadOwners(bool pauseQueue) {
    Impl& d = *m_impl;
    {
        // Usually nothing is to be done: look before taking the write lock.
        const std::lock_guard lock(d.mutex);
        db::Statement s(d.handle(),
                        "SELECT owner_pid, owner_start FROM jobs WHERE owner_pid <> 0 OR state IN "
                        "('running', 'encoding')");
        bool anyDead = false;
        while (s.step())
            anyDead |= !isAlive({s.integer(0), static_cast<std::uint64_t>(s.integer(1))});
        if (s.failed())
            return d.database->error(kNotRead);
        if (!anyDead)
            return 0;
    }
    return d.inTransaction([&]() -> Result<int> {
        std::vector<std::pair<JobId, bool>> dead; ///< id, was running
        db::Statement s(d.handle(),
                        "SELECT id, state, owner_pid, owner_start FROM jobs WHERE owner_pid <> 0 OR state "
                        "IN ('running', 'encoding')");
        while (s.step())
            if (!isAlive({s.integer(2), static_cast<std::uint64_t>(s.integer(3))}))
                dead.emplace_back(s.integer(0), s.text(1) != "queued");
        if (s.failed())
            return d.database->error(kNotRead);
        int interrupted = 0;
        for (const auto& [id, wasRunning] : dead) {
            db::Statement release(
                d.handle(), "UPDATE jobs SET owner_pid = 0, owner_start = 0, reserved = 0 WHERE id = ?");
            release.bind(id);
            if (auto done = d.finish(release); !done)
                return done.error();
            if (!wasRunning)
                continue;
            db::Statement interrupt(d.handle(),
                                    "UPDATE jobs SET state = 'interrupted', code = 'worker_lost', sentence = "
                                    "'The program was closed while this ' || CASE kind WHEN 'ask' THEN "
                                    "'question was being answered.' ELSE 'clip was being made.' END, "
                                    "ended_ms = ? WHERE id = ?");
            interrupt.bind(wallMillis()).bind(id);
            if (auto done = d.finish(interrupt); !done)
                return done.error();
            ++interrupted;
        }
        if (interrupted > 0 && pauseQueue)
            if (auto done = d.setFlag("queue_paused", 1); !done)
                return done.error();
        return interrupted;
    });
}

Result<void> JobStore::setEpoch(JobId id, std::uint64_t epoch) {
    return m_impl->updateOwn(id, "epoch = ?", [&](db::Statement& s) { s.bind(asColumn(epoch)); });
}

Result<void> JobStore::setResolved(JobId id, const JobRequest& request) {
    return m_impl->updateOwn(id, "request = ?",
                             [&](db::Statement& s) { s.bind(toJson(toValue(withoutTransients(request)))); });
}

Result<void> JobStore::setLatents(JobId id, const std::filesystem::path& latentsFile) {
    return m_impl->updateOwn(id, "latents = ?", [&](db::Statement& s) { s.bind(latentsFile.native()); });
}

Result<void> JobStore::setEncoding(JobId id) {
    return m_impl->updateOwn(id, "state = ?", [](db::Statement& s) { s.bind("encoding"); });
}

Result<void> JobStore::setDone(JobId id, const std::filesystem::path& resultFile, const Value& summary) {
    return m_impl->updateOwn(
        id,
        "state = 'done', result = ?, summary = ?, latents = '', ended_ms = ?, owner_pid = 0, "
        "owner_start = 0, reserved = 0, code = '', sentence = ''",
        [&](db::Statement& s) { s.bind(resultFile.native()).bind(toJson(summary)).bind(wallMillis()); });
}

Result<void> JobStore::setFailed(JobId id, const Error& error) {
    return m_impl->end(id, JobState::Failed, error);
}

Result<void> JobStore::setInterrupted(JobId id, const Error& error) {
    return m_impl->end(id, JobState::Interrupted, error);
}

Result<void> JobStore::cancelQueued(JobId id) {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<void> {
        db::Statement s(d.handle(),
                        "UPDATE jobs SET state = 'cancelled', code = 'cancelled', sentence = '', "
                        "ended_ms = ?, reserved = 0 WHERE id = ? AND state IN ('queued', 'paused')");
        s.bind(wallMillis()).bind(id);
        if (auto done = d.finish(s); !done)
            return done;
        return sqlite3_changes(d.handle()) == 1 ? Result<void>() : notRunningHere(id);
    });
}

Result<void> JobStore::setPaused(JobId id, const std::string& where) {
    return m_impl->updateOwn(id,
                             "state = 'paused', code = '', sentence = ?, owner_pid = 0, owner_start = 0, "
                             "reserved = 0",
                             [&](db::Statement& s) { s.bind(where); });
}

Result<void> JobStore::pauseQueued(JobId id) {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<void> {
        const auto job = d.find(id);
        if (!job)
            return job.error();
        if (!*job || (*job)->state != JobState::Queued)
            return makeError(
                ErrorCode::InvalidArgument,
                "Job " + std::to_string(id) +
                    " is neither waiting nor being made by this program, so it cannot be paused.");
        const auto& owner = (*job)->owner;
        if ((*job)->target.reserved && owner && *owner != d.self && isAlive(*owner))
            return makeError(ErrorCode::InvalidArgument, "Another Canopy program waits for job " +
                                                             std::to_string(id) +
                                                             "; pause or cancel it there.");
        db::Statement s(d.handle(), "UPDATE jobs SET state = 'paused', code = '', sentence = '', "
                                    "owner_pid = 0, owner_start = 0, reserved = 0 WHERE id = ?");
        s.bind(id);
        return d.finish(s);
    });
}

Result<void> JobStore::resumePaused(JobId id) {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<void> {
        db::Statement s(d.handle(), "UPDATE jobs SET state = 'queued', sentence = '', started_ms = 0 "
                                    "WHERE id = ? AND state = 'paused'");
        s.bind(id);
        if (auto done = d.finish(s); !done)
            return done;
        if (sqlite3_changes(d.handle()) != 1)
            return makeError(ErrorCode::InvalidArgument,
                             "Job " + std::to_string(id) + " is not paused, so it cannot go on.");
        return {};
    });
}

Result<void> JobStore::requeue(JobId id, bool reserve) {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<void> {
        db::Statement s(
            d.handle(),
            "UPDATE jobs SET state = 'queued', worker_deaths = 0, code = '', sentence = '', "
            "started_ms = 0, ended_ms = 0, reserved = ?, owner_pid = ?, owner_start = ? WHERE id = ? "
            "AND state IN ('paused', 'interrupted', 'failed', 'quarantined')");
        s.bind(std::int64_t{reserve}).bind(reserve ? d.self.pid : std::int64_t{0});
        s.bind(reserve ? asColumn(d.self.startTicks) : std::int64_t{0}).bind(id);
        if (auto done = d.finish(s); !done)
            return done;
        if (sqlite3_changes(d.handle()) != 1)
            return makeError(ErrorCode::InvalidArgument,
                             "Job " + std::to_string(id) +
                                 " waits, is under way or has ended; it cannot go on from a saved state.");
        return {};
    });
}

Result<void> JobStore::setCancelled(JobId id) {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<void> {
        db::Statement s(d.handle(),
                        "UPDATE jobs SET state = 'cancelled', code = 'cancelled', sentence = '', "
                        "ended_ms = ?, owner_pid = 0, owner_start = 0, reserved = 0 WHERE id = ? AND "
                        "state IN ('running', 'encoding') AND owner_pid = ? AND owner_start = ?");
        s.bind(wallMillis()).bind(id).bind(d.self.pid).bind(asColumn(d.self.startTicks));
        if (auto done = d.finish(s); !done)
            return done;
        return sqlite3_changes(d.handle()) == 1 ? Result<void>() : notRunningHere(id);
    });
}

Result<JobState> JobStore::setWorkerLost(JobId id, const Error& error, bool requeue) {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<JobState> {
        const auto job = d.find(id);
        if (!job)
            return job.error();
        if (!*job || (*job)->owner != d.self)
            return notRunningHere(id);
        const bool second = (*job)->workerDeaths + 1 >= 2;
        const JobState state = second    ? JobState::Quarantined
                               : requeue ? JobState::Queued
                                         : JobState::Interrupted;
        // A requeued job stays with the process that waits for it.
        const bool keep = state == JobState::Queued && (*job)->target.reserved;
        db::Statement s(d.handle(),
                        "UPDATE jobs SET state = ?, worker_deaths = worker_deaths + 1, code = ?, "
                        "sentence = ?, ended_ms = ?, owner_pid = ?, owner_start = ?, reserved = ? "
                        "WHERE id = ?");
        s.bind(jobStateName(state)).bind(errorCodeName(error.code));
        s.bind(second ? "Set aside: it ended the engine twice. Last: " + error.message : error.message);
        s.bind(wallMillis()).bind(keep ? d.self.pid : std::int64_t{0});
        s.bind(keep ? asColumn(d.self.startTicks) : std::int64_t{0}).bind(std::int64_t{keep}).bind(id);
        if (auto done = d.finish(s); !done)
            return done.error();
        return state;
    });
}

Result<void> JobStore::retry(JobId id) {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<void> {
        db::Statement s(d.handle(),
                        "UPDATE jobs SET state = 'queued', place = (SELECT MAX(place) + 1 FROM jobs), "
                        "worker_deaths = 0, code = '', sentence = '', queued_ms = ?, started_ms = 0, "
                        "ended_ms = 0 WHERE id = ? AND state IN "
                        "('failed', 'cancelled', 'interrupted', 'quarantined')");
        s.bind(wallMillis()).bind(id);
        if (auto done = d.finish(s); !done)
            return done;
        if (sqlite3_changes(d.handle()) != 1)
            return makeError(ErrorCode::InvalidArgument,
                             "Job " + std::to_string(id) +
                                 " is waiting, under way or done; only a job that ended "
                                 "without a clip can be tried again.");
        return {};
    });
}

Result<int> JobStore::requeueInterrupted() {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<int> {
        db::Statement s(d.handle(),
                        "UPDATE jobs SET state = 'queued', code = '', sentence = '', started_ms = 0, "
                        "ended_ms = 0 WHERE state = 'interrupted'");
        if (auto done = d.finish(s); !done)
            return done.error();
        return sqlite3_changes(d.handle());
    });
}

Result<JobId> JobStore::duplicate(JobId id) {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<JobId> {
        const auto job = d.find(id);
        if (!job)
            return job.error();
        if (!*job)
            return makeError(ErrorCode::NotFound,
                             "Job " + std::to_string(id) + " is not in the list any more.");
        return d.insert((*job)->request, {});
    });
}

Result<void> JobStore::remove(JobId id) {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<void> {
        db::Statement s(d.handle(), "DELETE FROM jobs WHERE id = ? AND state NOT IN ('running', 'encoding')");
        s.bind(id);
        if (auto done = d.finish(s); !done)
            return done;
        if (sqlite3_changes(d.handle()) != 1)
            return makeError(ErrorCode::InvalidArgument,
                             "Job " + std::to_string(id) + " is under way or gone; cancel it first.");
        return {};
    });
}

Result<int> JobStore::clearFinished() {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<int> {
        db::Statement s(d.handle(), "DELETE FROM jobs WHERE state IN ('done', 'failed', 'cancelled')");
        if (auto done = d.finish(s); !done)
            return done.error();
        return sqlite3_changes(d.handle());
    });
}

Result<void> JobStore::move(JobId id, JobId before) {
    Impl& d = *m_impl;
    return d.inTransaction([&]() -> Result<void> {
        std::vector<JobId> ids;
        std::vector<std::int64_t> places;
        db::Statement s(d.handle(), "SELECT id, place FROM jobs WHERE state = 'queued' ORDER BY place, id");
        while (s.step()) {
            ids.push_back(s.integer(0));
            places.push_back(s.integer(1));
        }
        const auto from = std::find(ids.begin(), ids.end(), id);
        const bool known = before == 0 || std::find(ids.begin(), ids.end(), before) != ids.end();
        if (from == ids.end() || !known)
            return makeError(ErrorCode::InvalidArgument, "Only waiting jobs can change places.");
        if (id == before)
            return {};
        ids.erase(from);
        ids.insert(before == 0 ? ids.end() : std::find(ids.begin(), ids.end(), before), id);
        for (std::size_t i = 0; i < ids.size(); ++i) {
            db::Statement update(d.handle(), "UPDATE jobs SET place = ? WHERE id = ?");
            update.bind(places[i]).bind(ids[i]);
            if (auto done = d.finish(update); !done)
                return done;
        }
        return {};
    });
}

} // namespace canopy
