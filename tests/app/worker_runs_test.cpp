// The real engine process with the shipped starter: what one clip leaves behind changes no later one, and the
// memory of a long clip in blocks does not grow.

#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/client/worker_client.h"
#include "core/formats/model_scan.h"
#include "core/job/chunk_layout.h"
#include "core/job/chunk_record.h"
#include "core/job/model_value.h"
#include "core/job/settings_schema.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using protocol::JobId;
using test::TempFolder;

namespace {

constexpr auto kDeadline = std::chrono::minutes(10);

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

const ModelRecord& starter() {
    static const ModelRecord record = [] {
        auto found = scanModel(environment("CANOPY_SOURCE_DIR") + "/resources/models/starter-video");
        REQUIRE_MESSAGE(found.ok(), found.error().message);
        return *found;
    }();
    return record;
}

GenerationRequest clip(int blocks, int edge, int steps) {
    GenerationRequest r;
    r.prompt = "a red balloon over the sea";
    r.modelId = starter().id;
    r.width = r.height = edge;
    r.steps = steps;
    r.guidance = 1;
    r.threads = 2;
    r.precision = Precision::Float32;
    r.frames = pixelFrames(blocks * starter().defaults.blockLatentFrames);
    r.chunks.mode = SamplingMode::Chunked;
    r.chunks.segments = 1;
    return r;
}

std::uint64_t residentBytes(std::int64_t pid) {
    std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
    std::uint64_t size = 0, resident = 0;
    statm >> size >> resident;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Latents of jobs, and the engine's memory when a block was done.
class Listener : public client::JobListener {
public:
    void jobLatents(JobId job, client::BlobPtr latents) override {
        const std::lock_guard lock(m_mutex);
        m_latents[job] = latents->bytes;
    }
    void jobChunks(JobId, client::BlobPtr part) override {
        const auto record = chunkRecordFromBytes(part->bytes);
        const std::lock_guard lock(m_mutex);
        for (const auto& done : record ? record->done : std::vector<ChunkDone>())
            m_resident[done.chunk] = residentBytes(m_pid);
    }
    void jobEnded(const client::JobOutcome& outcome) override {
        {
            const std::lock_guard lock(m_mutex);
            m_outcomes[outcome.job] = outcome;
        }
        m_ended.notify_all();
    }
    void measure(std::int64_t pid) {
        const std::lock_guard lock(m_mutex);
        m_pid = pid;
    }
    void waitForEnd(JobId job) {
        std::unique_lock lock(m_mutex);
        REQUIRE(m_ended.wait_for(lock, kDeadline, [&] { return m_outcomes.contains(job); }));
        REQUIRE_MESSAGE(m_outcomes[job].end == client::JobEnd::Finished, m_outcomes[job].error.message);
    }
    std::vector<std::uint8_t> latents(JobId job) {
        const std::lock_guard lock(m_mutex);
        return m_latents[job];
    }
    std::map<int, std::uint64_t> resident() {
        const std::lock_guard lock(m_mutex);
        return m_resident;
    }

private:
    std::mutex m_mutex;
    std::condition_variable m_ended;
    std::map<JobId, std::vector<std::uint8_t>> m_latents;
    std::map<JobId, client::JobOutcome> m_outcomes;
    std::map<int, std::uint64_t> m_resident; ///< by chunk
    std::int64_t m_pid = 0;
};

struct Engine {
    TempFolder folder;
    std::shared_ptr<Listener> jobs = std::make_shared<Listener>();
    std::unique_ptr<client::WorkerClient> client;

    Engine() {
        client::WorkerClientOptions options;
        options.executable = environment("CANOPY_BIN_DIR") + "/canopy-worker";
        options.environment = {"XDG_STATE_HOME=" + (folder / "state").string()};
        options.stderrFile = folder / "stderr.txt";
        options.topics = {"chunks"};
        options.times.helloWait = 300;
        client = std::make_unique<client::WorkerClient>(std::move(options));
        client->start();
        const auto until = std::chrono::steady_clock::now() + kDeadline;
        auto s = client->snapshot();
        while (s->worker.status != client::WorkerStatus::Ready && std::chrono::steady_clock::now() < until)
            s = client->waitForChange(s->version, std::chrono::steady_clock::now() + std::chrono::seconds(1));
        REQUIRE(s->worker.status == client::WorkerStatus::Ready);
        jobs->measure(s->worker.pid);
    }
    void run(JobId id, const GenerationRequest& r) {
        client::JobSubmission submission;
        submission.job = id;
        submission.request = toValue(withModelDefaults(r, starter().defaults));
        submission.model = toValue(starter());
        submission.listener = jobs;
        const auto sent = client->submit(std::move(submission));
        REQUIRE_MESSAGE(sent.ok(), (sent ? "" : sent.error().message));
        jobs->waitForEnd(id);
    }
};

} // namespace

TEST_CASE("two clips in one engine are those of two fresh engines") {
    auto first = clip(6, 64, 8);
    first.chunks.arStep = 2;
    first.chunks.kvBudget = 5;
    first.chunks.cache = ReuseMethod::FlowCache;
    first.chunks.feature = ReuseFeature::Latent;
    first.chunks.threshold = 0.3;
    first.chunks.warmup = 2;
    auto second = clip(3, 96, 8); // other sizes, another policy
    second.seed = 3;
    second.guidance = 4;
    second.chunks.cache = ReuseMethod::TeaCache;
    second.chunks.threshold = 0.2;
    second.chunks.warmup = 2;
    second.chunks.rescale = {0, 0, 0, 1, 0};
    Engine both, fresh, other;
    both.run(1, first);
    both.run(2, second);
    both.run(3, first);
    fresh.run(1, first);
    other.run(2, second);
    REQUIRE_FALSE(fresh.jobs->latents(1).empty());
    CHECK(both.jobs->latents(1) == fresh.jobs->latents(1));
    CHECK(both.jobs->latents(2) == other.jobs->latents(2));
    CHECK(both.jobs->latents(3) == fresh.jobs->latents(1));
}

TEST_CASE("the process of a clip of twenty blocks stays as large as it was at the sixth") {
    auto r = clip(20, 160, 3);
    r.chunks.kvBudget = 5;
    Engine engine;
    engine.run(1, r);
    const auto resident = engine.jobs->resident();
    REQUIRE(resident.size() == 20);
    // It is read while frames are decoded and sent, which comes and goes: the middle of four blocks.
    const auto around = [&](int first) {
        std::vector<std::uint64_t> of;
        for (int block = first; block < first + 4; ++block)
            of.push_back(resident.at(block));
        std::sort(of.begin(), of.end());
        return static_cast<double>(of[1] + of[2]) / 2;
    };
    const double sixth = around(5), last = around(16);
    MESSAGE("resident after blocks 6 to 9: ", sixth / 1e6, " MB, 17 to 20: ", last / 1e6, " MB, growth ",
            (last / sixth - 1) * 100, " %");
    CHECK(last < sixth * 1.02);
}
