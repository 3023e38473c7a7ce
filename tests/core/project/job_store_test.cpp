#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <random>
#include <set>
#include <thread>

#include "core/base/files.h"
#include "core/project/job_store.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using test::TempFolder;

namespace {

GenerationRequest request(const std::string& prompt) {
    GenerationRequest r;
    r.prompt = prompt;
    r.seed = 7;
    return r;
}

std::unique_ptr<JobStore> openStore(const std::filesystem::path& file, JobStoreReport* report = nullptr) {
    auto store = JobStore::open(file, report);
    REQUIRE_MESSAGE(store.ok(), (store ? "" : store.error().message));
    return std::move(*store);
}

JobRecord found(JobStore& store, JobId id) {
    auto job = store.find(id);
    REQUIRE(job.ok());
    REQUIRE(job->has_value());
    return **job;
}

std::vector<JobRecord> listed(const JobStore& store) {
    auto jobs = store.all();
    REQUIRE(jobs.ok());
    return *jobs;
}

/// Runs `body` in a child and gives what it wrote to the pipe; `killAfter` > 0: SIGKILL after so many
/// microseconds.
std::string inChild(const std::function<void(int pipe)>& body, int killAfterMicros = 0) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::close(ends[0]);
        body(ends[1]);
        ::_exit(0);
    }
    ::close(ends[1]);
    if (killAfterMicros > 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(killAfterMicros));
        ::kill(child, SIGKILL);
    }
    std::string said;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        said.append(buffer, static_cast<std::size_t>(n));
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (killAfterMicros == 0)
        REQUIRE(status == 0);
    return said;
}

void say(int pipe, std::int64_t value) {
    [[maybe_unused]] const auto n = ::write(pipe, &value, sizeof value);
}

std::vector<std::int64_t> numbers(const std::string& said) {
    std::vector<std::int64_t> list(said.size() / sizeof(std::int64_t));
    std::copy_n(said.data(), list.size() * sizeof(std::int64_t), reinterpret_cast<char*>(list.data()));
    return list;
}

} // namespace

TEST_CASE("a job table of version 1 is taken over") {
    TempFolder folder;
    const auto file = folder / "jobs.sqlite3";
    {
        auto store = openStore(file);
        REQUIRE(store->append(request("old")));
    }
    const std::string command = "python3 -c \"import sqlite3; d = sqlite3.connect('" + file.string() +
                                "'); d.execute('ALTER TABLE jobs DROP COLUMN kind'); "
                                "d.execute('PRAGMA user_version = 1'); d.commit()\"";
    REQUIRE(std::system(command.c_str()) == 0);
    auto store = openStore(file);
    const auto jobs = store->all();
    REQUIRE(jobs);
    REQUIRE(jobs->size() == 1);
    REQUIRE(jobs->front().clip());
    CHECK(jobs->front().clip()->prompt == "old");
    CHECK(store->append(AskRequest{}));
}

TEST_CASE("a job goes through its states and keeps what it is told") {
    TempFolder folder;
    auto store = openStore(folder / "jobs.sqlite3");
    const auto before = store->changeCounter();
    const JobId a = *store->append(request("first"), {"/out/a.mp4", "/out/frames", false});
    const JobId b = *store->append(request("second"));
    CHECK(store->changeCounter() > before);
    CHECK(found(*store, a).state == JobState::Queued);
    CHECK(found(*store, a).target == JobTarget{"/out/a.mp4", "/out/frames", false});

    auto claimed = *store->claimNext(11);
    REQUIRE(claimed.has_value());
    CHECK(claimed->id == a);
    CHECK(claimed->state == JobState::Running);
    CHECK(claimed->attempt == 1);
    CHECK(claimed->epoch == 11);
    CHECK_FALSE(store->claimNext(11)->has_value()); // one at a time

    GenerationRequest resolved = request("first");
    resolved.precision = Precision::BFloat16;
    resolved.resumeLatentsPath = "/never/stored";
    REQUIRE(store->setResolved(a, resolved));
    REQUIRE(store->setLatents(a, "/state/job-1.latents"));
    REQUIRE(store->setEncoding(a));
    CHECK(found(*store, a).clip()->precision == Precision::BFloat16);
    CHECK(found(*store, a).clip()->resumeLatentsPath.empty());
    CHECK(found(*store, a).latentsFile == "/state/job-1.latents");
    CHECK_FALSE(store->setDone(b, "/x", {}).ok()); // not running
    REQUIRE(store->setDone(a, "/out/a-2.mp4", Value(Value::Map{{"seconds", 1.5}})));
    CHECK(found(*store, a).state == JobState::Done);
    CHECK(found(*store, a).resultFile == "/out/a-2.mp4");
    CHECK(found(*store, a).latentsFile.empty());
    CHECK(found(*store, a).summary["seconds"].asDouble() == 1.5);
    CHECK_FALSE(store->setFailed(a, makeError(ErrorCode::Io, "late")).ok());

    CHECK((*store->claimNext(11))->id == b);
    REQUIRE(store->setFailed(b, makeError(ErrorCode::OutOfMemory, "Too large.")));
    CHECK(found(*store, b).code == ErrorCode::OutOfMemory);
    CHECK(found(*store, b).sentence == "Too large.");
    REQUIRE(store->retry(b));
    CHECK(found(*store, b).state == JobState::Queued);
    CHECK(found(*store, b).sentence.empty());
    CHECK_FALSE(store->retry(a).ok());
    REQUIRE(store->cancelQueued(b));
    CHECK(found(*store, b).state == JobState::Cancelled);

    AskRequest ask;
    ask.question = "How many fish?";
    ask.framesFile = "/never/stored";
    const JobId question = *store->append(ask);
    REQUIRE(found(*store, question).question());
    CHECK(found(*store, question).question()->question == "How many fish?");
    CHECK(found(*store, question).question()->framesFile.empty());
    CHECK(found(*store, question).clip() == nullptr);
    REQUIRE(store->cancelQueued(question));

    const JobId copy = *store->duplicate(a);
    CHECK(found(*store, copy).request == found(*store, a).request);
    CHECK(found(*store, copy).target == JobTarget{});
    CHECK(*store->clearFinished() == 3);
    CHECK(store->all()->size() == 1);
    REQUIRE(store->remove(copy));
    CHECK(store->all()->empty());
}

TEST_CASE("two worker deaths set a job aside; retry forgives") {
    TempFolder folder;
    auto store = openStore(folder / "jobs.sqlite3");
    const JobId id = *store->append(request("deadly"));
    const Error death = makeError(ErrorCode::WorkerLost, "The engine ended unexpectedly (signal 9).");
    REQUIRE(store->claimNext(1)->has_value());
    CHECK(*store->setWorkerLost(id, death, false) == JobState::Interrupted);
    CHECK(*store->requeueInterrupted() == 1);
    REQUIRE(store->claimNext(2)->has_value());
    CHECK(*store->setWorkerLost(id, death, true) == JobState::Quarantined);
    CHECK(found(*store, id).sentence.find("twice") != std::string::npos);
    CHECK(*store->requeueInterrupted() == 0); // never by itself
    CHECK_FALSE(store->claimNext(3)->has_value());
    REQUIRE(store->retry(id));
    REQUIRE(store->claimNext(3)->has_value());
    CHECK(*store->setWorkerLost(id, death, true) == JobState::Queued);
}

TEST_CASE("the queue keeps its order, can be re-ordered and paused") {
    TempFolder folder;
    auto store = openStore(folder / "jobs.sqlite3");
    const JobId a = *store->append(request("a"));
    const JobId b = *store->append(request("b"));
    const JobId c = *store->append(request("c"));
    REQUIRE(store->move(c, a));
    REQUIRE(store->move(a, 0));
    std::vector<JobId> order;
    for (const JobRecord& job : listed(*store))
        order.push_back(job.id);
    CHECK(order == std::vector<JobId>{c, b, a});
    CHECK_FALSE(store->move(99, 0).ok());
    REQUIRE(store->setQueuePaused(true));
    CHECK_FALSE(store->claimNext(1)->has_value());
    const JobId mine = *store->append(request("mine"), {{}, {}, true});
    CHECK((*store->claimNext(1, true))->id == mine); // reserved jobs do not wait for the pause
    REQUIRE(store->setCancelled(mine));
    REQUIRE(store->setQueuePaused(false));
    CHECK_FALSE(store->claimNext(1, true)->has_value());
    CHECK((*store->claimNext(1))->id == c);
}

TEST_CASE("a job pauses where it is, waits over restarts and goes on at its place") {
    TempFolder folder;
    const auto file = folder / "jobs.sqlite3";
    JobId a = 0, b = 0;
    {
        auto store = openStore(file);
        a = *store->append(request("a"));
        b = *store->append(request("b"));
        REQUIRE(store->claimNext(1)->has_value());
        CHECK_FALSE(store->pauseQueued(a).ok()); // it runs: its runner says when it has stopped
        CHECK_FALSE(store->resumePaused(a).ok());
        REQUIRE(store->setPaused(a, "Paused at step 3 of 9"));
        CHECK_FALSE(isFinished(found(*store, a).state));
        CHECK((*store->claimNext(1))->id == b);
        REQUIRE(store->setPaused(b, ""));
    }
    JobStoreReport report;
    auto opened = JobStore::open(file, &report);
    REQUIRE(opened);
    auto& store = **opened;
    CHECK(report.interrupted == 0);
    CHECK(found(store, a).state == JobState::Paused);
    CHECK(found(store, a).sentence == "Paused at step 3 of 9");
    CHECK(*store.requeueInterrupted() == 0); // the person paused it: the person lets it go on
    CHECK_FALSE(store.claimNext(1)->has_value());
    CHECK_FALSE(store.retry(a).ok());
    CHECK(*store.clearFinished() == 0);
    REQUIRE(store.resumePaused(b));
    REQUIRE(store.resumePaused(a));
    CHECK((*store.claimNext(1))->id == a);
    REQUIRE(store.setCancelled(a));
    REQUIRE(store.pauseQueued(b));
    CHECK_FALSE(store.claimNext(1)->has_value());
    REQUIRE(store.cancelQueued(b));
    CHECK(found(store, b).state == JobState::Cancelled);
}

TEST_CASE("twenty killed writers lose no acknowledged job") {
    TempFolder folder;
    const auto file = folder / "jobs.sqlite3";
    std::mt19937 random(7);
    std::set<JobId> acknowledged;
    for (int round = 0; round < 20; ++round) {
        const std::string said = inChild(
            [&](int pipe) {
                auto store = JobStore::open(file);
                if (!store)
                    return;
                for (int i = 0; i < 100'000; ++i)
                    if (auto id = (*store)->append(request("job " + std::to_string(i))))
                        say(pipe, *id);
            },
            5'000 + static_cast<int>(random() % 60'000));
        for (const std::int64_t id : numbers(said))
            CHECK(acknowledged.insert(id).second); // no id given twice
        JobStoreReport report;
        auto store = openStore(file, &report);
        CHECK(report.note.empty());
        std::set<JobId> present;
        for (const JobRecord& job : listed(*store))
            present.insert(job.id);
        CHECK(std::includes(present.begin(), present.end(), acknowledged.begin(), acknowledged.end()));
    }
    MESSAGE("acknowledged jobs: " << acknowledged.size());
    CHECK(acknowledged.size() > 100);
}

TEST_CASE("a job of a vanished program is interrupted and the queue paused; a living one's is not touched") {
    TempFolder folder;
    const auto file = folder / "jobs.sqlite3";
    REQUIRE(openStore(file)->append(request("running")).ok());
    REQUIRE(openStore(file)->append(request("waiting")).ok());
    inChild([&](int) {
        auto store = JobStore::open(file);
        if (!store || !(*store)->claimNext(5))
            ::_exit(1);
        if (!(*store)->append(request("reserved"), {{}, {}, true}))
            ::_exit(1);
    });
    JobStoreReport report;
    auto store = openStore(file, &report);
    CHECK(report.interrupted == 1);
    CHECK(*store->queuePaused());
    CHECK(found(*store, 1).state == JobState::Interrupted);
    CHECK_FALSE(found(*store, 1).sentence.empty());
    CHECK(found(*store, 2).state == JobState::Queued);
    CHECK_FALSE(found(*store, 3).target.reserved);
    CHECK(*store->requeueInterrupted() == 1);
    REQUIRE(store->setQueuePaused(false));
    CHECK((*store->claimNext(6))->id == 1);

    // While we live, another program neither takes our job nor starts one of its own.
    const std::string said = inChild([&](int pipe) {
        auto other = JobStore::open(file);
        say(pipe, other && !*(*other)->claimNext(7) && *(*other)->otherRunner() ? 1 : 0);
        say(pipe, other && !(*other)->setCancelled(1) ? 1 : 0);
    });
    CHECK(numbers(said) == std::vector<std::int64_t>{1, 1});
    CHECK(found(*store, 1).state == JobState::Running);
}

TEST_CASE("two processes claim every job once") {
    TempFolder folder;
    const auto file = folder / "jobs.sqlite3";
    constexpr int kJobs = 60;
    {
        auto store = openStore(file);
        for (int i = 0; i < kJobs; ++i)
            REQUIRE(store->append(request("job")).ok());
    }
    const auto claimAll = [&](int pipe) {
        auto store = JobStore::open(file);
        if (!store)
            ::_exit(1);
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (std::chrono::steady_clock::now() < deadline) {
            auto job = (*store)->claimNext(1);
            if (!job)
                ::_exit(2);
            if (*job) {
                const std::int64_t id = (*job)->id;
                say(pipe, id);
                if (!(*store)->setDone(id, "/x.mp4", {}))
                    ::_exit(3);
                std::this_thread::sleep_for(std::chrono::milliseconds(2)); // let the other one have a turn
                continue;
            }
            auto all = (*store)->all();
            if (all && std::all_of(all->begin(), all->end(),
                                   [](const JobRecord& j) { return j.state == JobState::Done; }))
                return;
            std::this_thread::yield();
        }
        ::_exit(4);
    };
    std::string first;
    std::string second;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        claimAll(ends[1]);
        ::_exit(0);
    }
    ::close(ends[1]);
    second = inChild(claimAll);
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        first.append(buffer, static_cast<std::size_t>(n));
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    std::vector<std::int64_t> all = numbers(first);
    const auto more = numbers(second);
    MESSAGE("first took " << all.size() << ", second " << more.size());
    CHECK(all.size() > 0); // both took part
    CHECK(more.size() > 0);
    all.insert(all.end(), more.begin(), more.end());
    CHECK(all.size() == kJobs);
    CHECK(std::set<std::int64_t>(all.begin(), all.end()).size() == kJobs);
}

TEST_CASE("a change by another process is noticed") {
    TempFolder folder;
    const auto file = folder / "jobs.sqlite3";
    auto store = openStore(file);
    const auto before = store->changeCounter();
    CHECK(store->changeCounter() == before);
    inChild([&](int) {
        auto other = JobStore::open(file);
        if (!other || !(*other)->append(request("from outside")))
            ::_exit(1);
    });
    CHECK(store->changeCounter() != before);
}

TEST_CASE("a damaged list is kept aside byte for byte and told; a newer one is refused") {
    TempFolder folder;
    const auto file = folder / "jobs.sqlite3";
    const auto spoil = [&](const std::string& bytes) { std::ofstream(file, std::ios::binary) << bytes; };
    std::string good;
    {
        auto store = openStore(file);
        for (int i = 0; i < 200; ++i)
            REQUIRE(store->append(request(std::string(2000, 'x'))).ok());
    }
    good = *readTextFile(file, 100 << 20);
    REQUIRE(good.size() > 20000);

    std::string torn = good.substr(0, good.size() / 2);
    std::string scribbled = good;
    for (std::size_t i = 5000; i < 15000; ++i)
        scribbled[i] = static_cast<char>(i * 31);
    const std::string cases[] = {"this is no database, but a longer line of text than a header", torn,
                                 scribbled};
    for (const std::string& bytes : cases) {
        CAPTURE(bytes.size());
        spoil(bytes);
        JobStoreReport report;
        auto store = openStore(file, &report);
        CHECK_FALSE(report.note.empty());
        REQUIRE_FALSE(report.movedAside.empty());
        CHECK(*readTextFile(report.movedAside, 100 << 20) == bytes);
        CHECK(store->all()->empty());
        CHECK(store->append(request("goes on")).ok());
    }

    std::filesystem::remove(file);
    openStore(file);
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open(file.c_str(), &raw) == SQLITE_OK);
    REQUIRE(sqlite3_exec(raw, "PRAGMA user_version = 99", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(raw);
    const auto refused = JobStore::open(file);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ErrorCode::Unsupported);
    CHECK(refused.error().message.find("newer") != std::string::npos);
}
