#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <sstream>
#include <thread>

#include "core/base/clock.h"
#include "core/client/restart_policy.h"
#include "core/client/worker_client.h"
#include "core/job/generation_request.h"
#include "core/job/model_value.h"
#include "core/protocol/session_file.h"
#include "tests/support/fake_engine.h"
#include "tests/support/small_model.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using namespace canopy::client;
using namespace std::chrono_literals;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kSlower = 5;
#else
constexpr double kSlower = 1;
#endif
/// Far above what anything here takes (well under a second): a deadline against hangs, no speed test.
constexpr double kDeadline = 30 * kSlower;

/// Keeps everything that belongs to jobs.
class Collector : public JobListener {
public:
    void jobResolved(JobId job, const Value& request, const Value&) override {
        const std::lock_guard lock(m_mutex);
        m_resolved[job] = request;
    }
    void jobLatents(JobId job, BlobPtr latents) override {
        const std::lock_guard lock(m_mutex);
        m_latents[job] = latents->bytes;
    }
    void jobFrame(JobId job, BlobPtr frame) override {
        const std::lock_guard lock(m_mutex);
        m_framesInOrder = m_framesInOrder && frame->info.index == static_cast<int>(m_frames[job].size());
        m_frames[job].push_back(frame->bytes);
        m_changed.notify_all();
    }
    void jobEnded(const JobOutcome& outcome) override {
        const std::lock_guard lock(m_mutex);
        ++m_ends[outcome.job];
        m_outcomes[outcome.job] = outcome;
        m_changed.notify_all();
    }

    std::optional<JobOutcome> waitForEnd(JobId job) {
        std::unique_lock lock(m_mutex);
        if (!m_changed.wait_for(lock, std::chrono::duration<double>(kDeadline),
                                [&] { return m_outcomes.contains(job); })) {
            return {};
        }
        return m_outcomes[job];
    }
    std::vector<std::vector<std::uint8_t>> frames(JobId job) {
        const std::lock_guard lock(m_mutex);
        return m_frames[job];
    }
    std::vector<std::uint8_t> latents(JobId job) {
        const std::lock_guard lock(m_mutex);
        return m_latents[job];
    }
    Value resolved(JobId job) {
        const std::lock_guard lock(m_mutex);
        return m_resolved[job];
    }
    int ends(JobId job) {
        const std::lock_guard lock(m_mutex);
        return m_ends[job];
    }
    bool framesInOrder() {
        const std::lock_guard lock(m_mutex);
        return m_framesInOrder;
    }

private:
    std::mutex m_mutex;
    std::condition_variable m_changed;
    std::map<JobId, Value> m_resolved;
    std::map<JobId, std::vector<std::uint8_t>> m_latents;
    std::map<JobId, std::vector<std::vector<std::uint8_t>>> m_frames;
    std::map<JobId, JobOutcome> m_outcomes;
    std::map<JobId, int> m_ends;
    bool m_framesInOrder = true;
};

GenerationRequest request(std::uint64_t seed, int steps = 6) {
    GenerationRequest r;
    r.prompt = "a red fox";
    r.width = 64;
    r.height = 48;
    r.frames = 9;
    r.steps = steps;
    r.seed = seed;
    return r;
}

/// Client, listener and a state folder of its own for the worker's logs.
struct Bench {
    test::TempFolder folder;
    std::shared_ptr<Collector> jobs = std::make_shared<Collector>();
    WorkerClientOptions options;
    std::unique_ptr<WorkerClient> client;

    explicit Bench(std::vector<std::string> environment = {}) {
        options.executable = std::filesystem::path(std::getenv("CANOPY_BIN_DIR")) / "canopy-fake-worker";
        options.environment = std::move(environment);
        options.environment.push_back("XDG_STATE_HOME=" + folder.path().string());
        options.stderrFile = folder.path() / "stderr.txt";
        options.times.restartDelay = 0.01;
    }
    WorkerClient& start() {
        client = std::make_unique<WorkerClient>(options);
        client->start();
        return *client;
    }
    void submit(JobId id, const GenerationRequest& r) {
        JobSubmission job;
        job.job = id;
        job.request = toValue(r);
        job.model = toValue(test::smallModel());
        job.listener = jobs;
        const Result<void> ok = client->submit(std::move(job));
        REQUIRE_MESSAGE(ok, (ok ? "" : ok.error().message));
    }
    /// Waits until the snapshot looks as wanted; the last one either way.
    SnapshotPtr waitFor(const std::function<bool(const ClientSnapshot&)>& wanted) {
        const double deadline = steadySeconds() + kDeadline;
        SnapshotPtr s = client->snapshot();
        while (!wanted(*s) && steadySeconds() < deadline) {
            s = client->waitForChange(s->version, std::chrono::steady_clock::now() + 200ms);
        }
        REQUIRE_MESSAGE(wanted(*s), "state: ", std::string(workerStatusName(s->worker.status)), " ",
                        s->worker.sentence);
        return s;
    }
    SnapshotPtr waitFor(WorkerStatus status) {
        return waitFor([&](const ClientSnapshot& s) { return s.worker.status == status; });
    }
    void expectWhole(JobId id, std::uint64_t seed) {
        const auto outcome = jobs->waitForEnd(id);
        REQUIRE(outcome);
        REQUIRE_MESSAGE(outcome->end == JobEnd::Finished, outcome->error.message);
        CHECK(jobs->ends(id) == 1);
        const auto frames = jobs->frames(id);
        REQUIRE(frames.size() == 9);
        for (int i = 0; i < 9; ++i) {
            CHECK(frames[static_cast<std::size_t>(i)] == test::fakeFrame(seed, i, 64, 48));
        }
        CHECK(jobs->latents(id) == test::fakeLatents(seed, 64, 48, 9));
    }
};

bool processExists(std::int64_t pid) {
    // A zombie that nobody has waited for yet still counts as a process for kill(); its state tells.
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(stat, line)) {
        return false;
    }
    const std::size_t paren = line.rfind(')');
    return paren != std::string::npos && line.size() > paren + 2 && line[paren + 2] != 'Z' &&
           line[paren + 2] != 'X';
}

bool waitUntilGone(std::int64_t pid) {
    const double deadline = steadySeconds() + kDeadline;
    while (processExists(pid) && steadySeconds() < deadline) {
        std::this_thread::sleep_for(5ms);
    }
    return !processExists(pid);
}

std::string textOf(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

/// At least so many denoising steps are done.
bool atStep(const ClientSnapshot& s, int step) {
    return s.job && s.job->progress.stage == protocol::Stage::Denoise && s.job->progress.unit >= step;
}

std::uint64_t ownResidentBytes() {
    std::ifstream statm("/proc/self/statm");
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    statm >> total >> resident;
    return resident * 4096;
}

} // namespace

TEST_CASE("a job runs: hello, progress, preview, latents, frames, end") {
    Bench bench;
    bench.options.topics = {"preview", "stage_times", "block_times"};
    WorkerClient& client = bench.start();
    bench.submit(1, request(42)); // before the worker is ready: kept until then
    bench.expectWhole(1, 42);
    CHECK(bench.jobs->framesInOrder());
    CHECK(bench.jobs->resolved(1)["kernel_set"].asString() == "fake");

    const SnapshotPtr s = bench.waitFor(WorkerStatus::Ready);
    REQUIRE(s->hello);
    CHECK(s->hello->pid == s->worker.pid);
    CHECK(s->hello->devices.size() == 1);
    REQUIRE(s->job);
    CHECK(s->job->job == 1);
    CHECK(s->openJobs.empty());
    CHECK(s->job->progress.stage == protocol::Stage::Decode);
    CHECK(s->job->progress.unit == 9);
    CHECK(s->job->stepSeconds.size() == 6);
    CHECK(s->job->memoryPlan["stages"].asArray().size() == 2);
    CHECK(s->job->timings.size() == 9); // "step" and eight blocks
    REQUIRE(s->preview);
    CHECK(s->preview->frames == 2);
    CHECK(std::equal(s->preview->frame(1), s->preview->frame(2), test::fakeFrame(42, 1, 64, 48).begin()));
    REQUIRE(s->lastOutcome);
    CHECK(s->lastOutcome->summary["step_seconds"].asArray().size() == 6);
    CHECK(s->traffic.bytesIn > 9 * 64 * 48 * 3);
    CHECK(s->traffic.messagesOut > 0);
    CHECK(s->traffic.damagedBlobs == 0);
    CHECK(s->traffic.staleMessages == 0);
    bench.waitFor([](const ClientSnapshot& c) { return c.heartbeat && c.heartbeat->residentBytes > 0; });
    // Nothing changed in between: the same snapshot, not a copy.
    const SnapshotPtr a = client.snapshot();
    const SnapshotPtr b = client.snapshot();
    CHECK((a == b || a->version != b->version));
}

TEST_CASE("jobs queue in order and a second id in use is refused") {
    Bench bench;
    WorkerClient& client = bench.start();
    for (JobId id = 1; id <= 3; ++id) {
        bench.submit(id, request(std::uint64_t(id)));
    }
    JobSubmission again;
    again.job = 2;
    const auto refused = client.submit(again);
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::InvalidArgument);
    for (JobId id = 1; id <= 3; ++id) {
        bench.expectWhole(id, std::uint64_t(id));
    }
}

TEST_CASE("cancel at random moments stops within one block, and the next job is right") {
    Bench bench({"CANOPY_FAKE_BLOCK_MS=5"});
    WorkerClient& client = bench.start();
    bench.waitFor(WorkerStatus::Ready);
    const std::int64_t pid = client.snapshot()->worker.pid;
    std::mt19937 random(4);
    int cancelled = 0;
    for (int round = 0; round < 20; ++round) {
        const JobId id = 100 + 2 * round;
        bench.submit(id, request(7));
        std::this_thread::sleep_for(
            std::chrono::milliseconds(random() % 300)); // a whole job takes about 290 ms
        client.cancel(id);
        const auto outcome = bench.jobs->waitForEnd(id);
        REQUIRE(outcome);
        CHECK((outcome->end == JobEnd::Cancelled || outcome->end == JobEnd::Finished));
        cancelled += outcome->end == JobEnd::Cancelled ? 1 : 0;
        CHECK(bench.jobs->ends(id) == 1);
        // No block after the one that the cancel met: the engine returned, so the next job starts at once.
        bench.submit(id + 1, request(std::uint64_t(round)));
        bench.expectWhole(id + 1, std::uint64_t(round));
    }
    CHECK(cancelled >= 5);
    CHECK(client.snapshot()->worker.pid == pid); // never by ending the worker
}

TEST_CASE("cancel shows at once and ends a waiting job") {
    Bench bench({"CANOPY_FAKE_BLOCK_MS=20"});
    WorkerClient& client = bench.start();
    bench.submit(1, request(1));
    bench.submit(2, request(2));
    bench.waitFor([](const ClientSnapshot& s) { return atStep(s, 1); });
    client.cancel(2);
    const auto second = bench.jobs->waitForEnd(2);
    REQUIRE(second);
    CHECK(second->end == JobEnd::Cancelled);
    client.cancel(1);
    CHECK(client.snapshot()->job->cancelling);
    const auto first = bench.jobs->waitForEnd(1);
    REQUIRE(first);
    CHECK(first->end == JobEnd::Cancelled);
    CHECK(first->error.code == ErrorCode::Cancelled);
    CHECK(bench.jobs->latents(1).empty());
}

TEST_CASE("a pause ends the job as paused, running or waiting, and the next one is right") {
    Bench bench({"CANOPY_FAKE_BLOCK_MS=20"});
    WorkerClient& client = bench.start();
    bench.submit(1, request(1));
    bench.submit(2, request(2));
    bench.submit(3, request(3));
    bench.waitFor([](const ClientSnapshot& s) { return atStep(s, 1); });
    client.pause(2);
    client.pause(1);
    for (const JobId id : {1, 2}) {
        const auto outcome = bench.jobs->waitForEnd(id);
        REQUIRE(outcome);
        CHECK(outcome->end == JobEnd::Paused);
        CHECK(bench.jobs->latents(id).empty());
    }
    bench.expectWhole(3, 3);
    // A cancel outweighs a pause, whichever is first.
    bench.submit(4, request(4));
    bench.waitFor([](const ClientSnapshot& s) { return s.job->job == 4 && atStep(s, 1); });
    client.cancel(4);
    client.pause(4);
    const auto cancelled = bench.jobs->waitForEnd(4);
    REQUIRE(cancelled);
    CHECK(cancelled->end == JobEnd::Cancelled);
}

TEST_CASE("kill -9 in the middle of a job is said at once, the worker restarts, the next job succeeds") {
    Bench bench({"CANOPY_FAKE_BLOCK_MS=10"});
    WorkerClient& client = bench.start();
    bench.submit(1, request(5, 30));
    SnapshotPtr s = bench.waitFor([](const ClientSnapshot& c) { return atStep(c, 2); });
    const std::int64_t pid = s->worker.pid;
    REQUIRE(::kill(static_cast<pid_t>(pid), SIGKILL) == 0);
    const auto outcome = bench.jobs->waitForEnd(1);
    REQUIRE(outcome);
    CHECK(outcome->end == JobEnd::Interrupted);
    CHECK(outcome->workerDeaths == 1);
    CHECK(outcome->error.code == ErrorCode::WorkerLost);
    CHECK(outcome->error.message.starts_with(
        "Generation stopped: the engine ended unexpectedly (signal 9) at step "));
    CHECK(outcome->error.message.ends_with(" of 30."));
    s = bench.waitFor(WorkerStatus::Restarting);
    CHECK(s->worker.sentence.ends_with("Restarting (1/3)."));
    CHECK(s->worker.restart == 1);
    s = bench.waitFor(WorkerStatus::Ready);
    CHECK(s->worker.pid != pid);
    CHECK(s->worker.sentence.empty());
    CHECK(waitUntilGone(pid));
    bench.submit(2, request(6));
    bench.expectWhole(2, 6);
    const std::int64_t second = client.snapshot()->worker.pid;
    bench.client.reset();
    CHECK(waitUntilGone(second)); // no orphan
}

TEST_CASE("a worker that does not answer is shown, never killed, and comes back") {
    Bench bench({"CANOPY_FAKE_BLOCK_MS=10"});
    bench.options.times.heartbeatTimeout = 1 * kSlower;
    bench.start();
    bench.submit(1, request(5, 10));
    SnapshotPtr s = bench.waitFor([](const ClientSnapshot& c) { return atStep(c, 1); });
    const std::int64_t pid = s->worker.pid;
    REQUIRE(::kill(static_cast<pid_t>(pid), SIGSTOP) == 0);
    s = bench.waitFor(WorkerStatus::NotResponding);
    CHECK(s->worker.sentence.find("has not answered for") != std::string::npos);
    CHECK(s->worker.pid == pid);
    REQUIRE(::kill(static_cast<pid_t>(pid), SIGCONT) == 0);
    bench.waitFor([](const ClientSnapshot& c) { return c.worker.status != WorkerStatus::NotResponding; });
    bench.expectWhole(1, 5);
    CHECK(bench.client->snapshot()->worker.pid == pid);
}

TEST_CASE("restart ends a worker that does not answer") {
    Bench bench({"CANOPY_FAULT=point=step,n=2,do=hang,seed=5"});
    bench.options.times.heartbeatTimeout = 1 * kSlower;
    bench.options.times.terminateWait = 0.2;
    bench.start();
    bench.submit(1, request(5));
    const std::int64_t pid = bench.waitFor(WorkerStatus::NotResponding)->worker.pid;
    bench.client->restart();
    const auto outcome = bench.jobs->waitForEnd(1);
    REQUIRE(outcome);
    CHECK(outcome->end == JobEnd::Interrupted);
    bench.waitFor(WorkerStatus::Ready);
    CHECK(waitUntilGone(pid));
    bench.submit(2, request(6));
    bench.expectWhole(2, 6);
}

TEST_CASE("no progress is shown as stuck, and a slow unit is only slow") {
    Bench bench({"CANOPY_FAULT=point=step,n=3,do=slow=1500,seed=5"});
    bench.options.times.stuckMinimum = 0.4;
    bench.options.times.stuckFactor = 1;
    bench.start();
    bench.submit(1, request(5));
    const SnapshotPtr s = bench.waitFor([](const ClientSnapshot& c) { return c.job && c.job->stuck; });
    CHECK(s->worker.status == WorkerStatus::Busy);
    bench.expectWhole(1, 5); // never killed
    CHECK(!bench.client->snapshot()->job->stuck);
}

TEST_CASE("an ignored cancel climbs to SIGKILL and ends as cancelled, not as a death") {
    Bench bench({"CANOPY_FAULT=point=step,n=2,do=busyhang,seed=5"});
    bench.options.times.cancelMinimum = 0.2;
    bench.options.times.cancelMaximum = 0.2;
    bench.options.times.terminateWait = 0.2;
    bench.start();
    bench.submit(1, request(5));
    const SnapshotPtr s = bench.waitFor([](const ClientSnapshot& c) { return atStep(c, 1); });
    bench.client->cancel(1);
    const auto outcome = bench.jobs->waitForEnd(1);
    REQUIRE(outcome);
    CHECK(outcome->end == JobEnd::Cancelled);
    CHECK(outcome->workerDeaths == 0);
    bench.waitFor(WorkerStatus::Ready);
    CHECK(waitUntilGone(s->worker.pid));
    bench.submit(2, request(6));
    bench.expectWhole(2, 6);
}

TEST_CASE("three deaths stop the engine; retry starts it again") {
    Bench bench({"CANOPY_FAULT=point=step,n=2,do=abort,seed=5"});
    bench.start();
    for (JobId id = 1; id <= 3; ++id) {
        bench.submit(id, request(5));
        const auto outcome = bench.jobs->waitForEnd(id);
        REQUIRE(outcome);
        CHECK(outcome->end == JobEnd::Interrupted);
        CHECK(outcome->error.message.find("signal 6") != std::string::npos);
    }
    const SnapshotPtr s = bench.waitFor(WorkerStatus::Stopped);
    CHECK(s->worker.tooManyDeaths);
    CHECK(s->worker.restart == 3);
    CHECK(s->worker.pid == 0);
    CHECK(s->worker.sentence.find("3 times") != std::string::npos);
    JobSubmission job;
    job.job = 9;
    const auto refused = bench.client->submit(job);
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::WorkerLost);
    bench.client->restart();
    bench.submit(10, request(6));
    bench.expectWhole(10, 6);
    CHECK(!bench.client->snapshot()->worker.tooManyDeaths);
}

TEST_CASE("a job that ends the worker twice is counted") {
    Bench bench({"CANOPY_FAULT=point=load,do=abort,seed=5"});
    bench.start();
    for (int attempt = 1; attempt <= 2; ++attempt) {
        auto jobs = std::make_shared<Collector>();
        bench.jobs = jobs;
        bench.submit(1, request(5));
        const auto outcome = jobs->waitForEnd(1);
        REQUIRE(outcome);
        CHECK(outcome->workerDeaths == attempt);
        CHECK(outcome->error.message.find("while loading the model") != std::string::npos);
    }
}

TEST_CASE("the restart policy forgives one death per window") {
    RestartPolicy policy(600, 3);
    CHECK(policy.died(0));
    CHECK(policy.died(300));
    CHECK(policy.died(601)); // the first is forgiven
    CHECK(policy.count() == 2);
    CHECK(!policy.died(700));
    policy.forgiveAll();
    CHECK(policy.died(701));
}

TEST_CASE("engine errors become the job's sentence") {
    Bench bench({"CANOPY_FAULT=point=step,n=2,do=oom,seed=5"});
    bench.start();
    bench.submit(1, request(5));
    const auto outcome = bench.jobs->waitForEnd(1);
    REQUIRE(outcome);
    CHECK(outcome->end == JobEnd::Failed);
    CHECK(outcome->error.code == ErrorCode::OutOfMemory);
    CHECK(outcome->error.message.find("41.2 GB") != std::string::npos);
    CHECK(outcome->details["planned_bytes"].asInt() == 2 << 20);
    bench.submit(2, request(6)); // the same process goes on
    bench.expectWhole(2, 6);
}

TEST_CASE("an exception in the engine fails the job, not the worker") {
    Bench bench({"CANOPY_FAULT=point=frame,n=2,do=throw,seed=5"});
    bench.start();
    bench.submit(1, request(5));
    const auto outcome = bench.jobs->waitForEnd(1);
    REQUIRE(outcome);
    CHECK(outcome->end == JobEnd::Failed);
    CHECK(outcome->error.message.find("thrown on order") != std::string::npos);
    // What the denoising made is delivered although the decoding failed.
    CHECK(bench.jobs->latents(1) == test::fakeLatents(5, 64, 48, 9));
    bench.submit(2, request(6));
    bench.expectWhole(2, 6);
}

TEST_CASE("a broken engine says why, ends with 86 and is replaced") {
    Bench bench({"CANOPY_FAULT=point=step,n=2,do=sticky,seed=5"});
    bench.start();
    bench.submit(1, request(5));
    const std::int64_t pid =
        bench.waitFor([](const ClientSnapshot& c) { return c.hello.has_value(); })->worker.pid;
    const auto outcome = bench.jobs->waitForEnd(1);
    REQUIRE(outcome);
    CHECK(outcome->end == JobEnd::Failed);
    CHECK(outcome->error.message == "GPU error 700 (illegal access).");
    const SnapshotPtr s = bench.waitFor(WorkerStatus::Restarting);
    CHECK(s->worker.sentence.find("only a fresh start cures") != std::string::npos);
    bench.submit(2, request(6));
    bench.expectWhole(2, 6);
    CHECK(bench.client->snapshot()->worker.pid != pid);
}

TEST_CASE("engine and app of different versions do not talk") {
    Bench bench;
    bench.options.protocolVersion = 7;
    bench.start();
    const SnapshotPtr s = bench.waitFor([](const ClientSnapshot& c) { return !c.worker.sentence.empty(); });
    CHECK(s->worker.status == WorkerStatus::Stopped);
    CHECK(s->worker.sentence.find("different versions (" + std::to_string(protocol::kProtocolVersion) +
                                  ", 7)") != std::string::npos);
    CHECK(!s->worker.tooManyDeaths);
}

TEST_CASE("a program that is missing or no worker is said in words") {
    Bench missing;
    missing.options.executable = missing.folder.path() / "canopy-worker";
    missing.start();
    SnapshotPtr s = missing.waitFor([](const ClientSnapshot& c) { return !c.worker.sentence.empty(); });
    CHECK(s->worker.status == WorkerStatus::Stopped);
    CHECK(s->worker.sentence.find("cannot be started") != std::string::npos);

    Bench broken;
    const auto script = broken.folder.path() / "worker.sh";
    std::ofstream(script)
        << "#!/bin/sh\necho 'libtorch_cpu.so: cannot open shared object file' >&2\nexit 127\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    broken.options.executable = script;
    broken.start();
    s = broken.waitFor([](const ClientSnapshot& c) { return c.worker.tooManyDeaths; });
    CHECK(s->worker.sentence.find("could not be started (exit code 127): libtorch_cpu.so") !=
          std::string::npos);

    Bench garbage;
    const auto noise = garbage.folder.path() / "noise.sh";
    std::ofstream(noise) << "#!/bin/sh\nyes this is no protocol\n";
    std::filesystem::permissions(noise, std::filesystem::perms::owner_all);
    garbage.options.executable = noise;
    garbage.start();
    s = garbage.waitFor([](const ClientSnapshot& c) { return c.worker.tooManyDeaths; });
    CHECK(s->worker.sentence.find("something unreadable") != std::string::npos);
}

TEST_CASE("a silent program is given up after the hello time") {
    Bench silent;
    const auto script = silent.folder.path() / "silent.sh";
    std::ofstream(script) << "#!/bin/sh\nexec sleep 1000\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    silent.options.executable = script;
    silent.options.times.helloWait = 0.1;
    silent.start();
    const SnapshotPtr s = silent.waitFor([](const ClientSnapshot& c) { return c.worker.tooManyDeaths; });
    CHECK(s->worker.sentence.find("did not answer within") != std::string::npos);
}

TEST_CASE("a flood of previews leaves memory flat and is counted") {
    Bench bench({"CANOPY_FAKE_PREVIEWS=100", "CANOPY_FAKE_BLOCK_MS=0"});
    bench.start();
    GenerationRequest r = request(5, 5); // 500 previews of 0.6 MB: 300 MB in all
    r.width = 320;
    r.height = 320;
    bench.submit(1, r);
    bench.waitFor([](const ClientSnapshot& c) { return c.preview != nullptr; });
    const std::uint64_t before = ownResidentBytes();
    const auto outcome = bench.jobs->waitForEnd(1);
    REQUIRE(outcome);
    CHECK(outcome->end == JobEnd::Finished);
    CHECK(ownResidentBytes() < before + (std::uint64_t{48} << 20));
    const SnapshotPtr s = bench.waitFor([](const ClientSnapshot& c) {
        return c.traffic.droppedInWorker + c.traffic.previewsReceived >= 500;
    });
    CHECK(s->traffic.droppedInWorker + s->traffic.previewsUnseen > 0);
    CHECK(s->heartbeat->residentBytes < (std::uint64_t{200} << 20));
}

TEST_CASE("frames wait for their taker and none is lost") {
    Bench bench({"CANOPY_FAKE_BLOCK_MS=0"});
    /// Holds every frame for a moment, so that far more than the window waits for credit.
    class Slow : public Collector {
    public:
        void jobFrame(JobId job, BlobPtr frame) override {
            {
                const std::lock_guard lock(m_mutex);
                m_held.push_back(frame);
                if (m_held.size() > 4) {
                    m_held.erase(m_held.begin());
                }
            }
            Collector::jobFrame(job, frame);
        }
        void jobEnded(const JobOutcome& outcome) override {
            {
                const std::lock_guard lock(m_mutex);
                m_held.clear();
            }
            Collector::jobEnded(outcome);
        }

    private:
        std::mutex m_mutex;
        std::vector<BlobPtr> m_held;
    };
    bench.jobs = std::make_shared<Slow>();
    bench.start();
    GenerationRequest r = request(5, 1);
    r.width = 1280;
    r.height = 720; // 2.8 MB a frame
    r.frames = 41;  // 113 MB
    bench.submit(1, r);
    const auto outcome = bench.jobs->waitForEnd(1);
    REQUIRE(outcome);
    CHECK(outcome->end == JobEnd::Finished);
    const auto frames = bench.jobs->frames(1);
    REQUIRE(frames.size() == 41);
    CHECK(frames[40] == test::fakeFrame(5, 40, 1280, 720));
    CHECK(bench.jobs->framesInOrder());
}

TEST_CASE("a cancelled job whose frames nobody takes ends all the same") {
    Bench bench({"CANOPY_FAKE_BLOCK_MS=0"});
    class Keeper : public Collector {
    public:
        void jobFrame(JobId, BlobPtr frame) override { m_kept.push_back(std::move(frame)); }
        std::vector<BlobPtr> m_kept; ///< reader thread, until the client is gone
    };
    auto keeper = std::make_shared<Keeper>();
    bench.jobs = keeper;
    bench.start();
    GenerationRequest r = request(5, 1);
    r.width = 1280;
    r.height = 720;
    r.frames = 81; // 224 MB: window and backlog are full long before
    bench.submit(1, r);
    bench.waitFor([](const ClientSnapshot& c) { return c.traffic.bytesIn > (30u << 20); });
    bench.client->cancel(1);
    const auto outcome = bench.jobs->waitForEnd(1);
    REQUIRE(outcome);
    CHECK(outcome->end == JobEnd::Cancelled);
    bench.client.reset();
    keeper->m_kept.clear(); // after the channel: must be harmless
}

TEST_CASE("the worker ends when its client is killed") {
    Bench bench;
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(pipe[0]);
        WorkerClient client(bench.options);
        client.start();
        SnapshotPtr s = client.snapshot();
        while (s->worker.status != WorkerStatus::Ready) {
            s = client.waitForChange(s->version, std::chrono::steady_clock::now() + 1s);
        }
        const std::int64_t pid = s->worker.pid;
        [[maybe_unused]] const auto wrote = ::write(pipe[1], &pid, sizeof pid);
        ::raise(SIGKILL);
    }
    ::close(pipe[1]);
    std::int64_t pid = 0;
    REQUIRE(::read(pipe[0], &pid, sizeof pid) == sizeof pid);
    ::close(pipe[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(waitUntilGone(pid));
}

TEST_CASE("the worker volunteers for the out-of-memory killer and keeps prompts out of its log") {
    Bench bench;
    bench.start();
    GenerationRequest r = request(5);
    r.prompt = "secret-words-of-the-person";
    bench.submit(1, r);
    const auto outcome = bench.jobs->waitForEnd(1);
    REQUIRE(outcome);
    const std::int64_t pid = bench.client->snapshot()->worker.pid;
    CHECK(textOf("/proc/" + std::to_string(pid) + "/oom_score_adj") == "500\n");
    bench.client.reset();
    const std::string text = textOf(bench.folder.path() / "canopy" / "logs" / "worker.log");
    CHECK(text.find("A scripted job begins.") != std::string::npos);
    CHECK(text.find("secret-words") == std::string::npos);
}

TEST_CASE("stop ends the worker and its job; start brings it back") {
    Bench bench({"CANOPY_FAKE_BLOCK_MS=10"});
    bench.start();
    bench.submit(1, request(5, 30));
    const SnapshotPtr s = bench.waitFor([](const ClientSnapshot& c) { return atStep(c, 1); });
    bench.client->stop();
    const auto outcome = bench.jobs->waitForEnd(1);
    REQUIRE(outcome);
    CHECK(outcome->end != JobEnd::Finished);
    bench.waitFor(WorkerStatus::Stopped);
    CHECK(waitUntilGone(s->worker.pid));
    bench.client->start();
    bench.submit(2, request(6));
    bench.expectWhole(2, 6);
}

TEST_CASE("a recording holds the session and drives a reader without a worker") {
    Bench bench;
    const auto path = bench.folder.path() / "session.canopy";
    bench.client = std::make_unique<WorkerClient>(bench.options);
    auto recorder = *protocol::SessionWriter::create(path, {protocol::SessionLevel::Masks});
    bench.client->setRecorder(recorder);
    bench.client->start();
    GenerationRequest r = request(42);
    r.prompt = "a drawn red ball rolls over the grass";
    bench.submit(1, r);
    bench.expectWhole(1, 42);
    bench.client.reset();
    REQUIRE(recorder->finish());
    const auto reader = protocol::SessionReader::open(path);
    REQUIRE(reader);
    std::map<std::string, int> topics;
    for (const auto& entry : reader->entries()) {
        ++topics[entry.topic];
    }
    CHECK(topics["client/start_job"] == 1);
    CHECK(topics["worker/finished"] == 1);
    CHECK(topics["worker/progress"] > 6);
    CHECK(topics["worker/blob_chunk"] == 0);
    // How tests/data/sessions is made: CANOPY_KEEP_RECORDING=<file> client_test -tc="a recording*"
    if (const char* keep = std::getenv("CANOPY_KEEP_RECORDING")) {
        std::filesystem::copy_file(path, keep);
    }
}
