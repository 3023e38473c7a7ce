#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <set>

#include "core/base/files.h"
#include "core/job/settings_schema.h"
#include "core/studio/studio.h"
#include "tests/support/small_model.h"
#include "tests/support/temp_folder.h"

#if CANOPY_HAS_MEDIA
#include "core/media/png_writer.h"
#include "core/media/video_reader.h"
#endif

using namespace canopy;
using std::chrono::milliseconds;
using test::TempFolder;

namespace {

constexpr int kFrames = 9;

GenerationRequest request(std::uint64_t seed = 1) {
    GenerationRequest r;
    r.prompt = "A red boat, on the SEA!";
    r.modelId = "skyreels-df-test";
    r.seed = seed;
    return r;
}

/// One home with everything a studio needs; several studios may be opened on it one after another.
struct Home {
    TempFolder folder;
    StudioOptions options;

    explicit Home(std::vector<std::string> environment = {}) {
        options.dataFolder = folder / "data";
        options.stateFolder = folder / "state";
        options.clipFolder = folder / "clips";
        options.programVersion = "0.1.0-test";
        options.findModel = [](const GenerationRequest& r) -> Result<ModelRecord> {
            if (r.modelId == "skyreels-df-test")
                return test::smallModel();
            return makeError(ErrorCode::NotFound,
                             "The model \"" + r.modelId + "\" is not there; add its folder.");
        };
        const char* bin = std::getenv("CANOPY_BIN_DIR");
        options.workerProgram = std::filesystem::path(bin ? bin : "bin") / "canopy-fake-worker";
        options.workerEnvironment = std::move(environment);
        options.times.restartDelay = 0.05;
    }
    std::unique_ptr<Studio> open() const {
        auto studio = Studio::open(options);
        REQUIRE_MESSAGE(studio.ok(), (studio ? "" : studio.error().message));
        return std::move(*studio);
    }
    std::vector<std::filesystem::path> files(const char* part) const {
        std::vector<std::filesystem::path> list;
        std::error_code ec;
        for (const auto& entry : std::filesystem::directory_iterator(folder / part, ec))
            list.push_back(entry.path().filename());
        std::sort(list.begin(), list.end());
        return list;
    }
    std::vector<std::filesystem::path> states() const {
        auto list = files("state");
        std::erase_if(list, [](const auto& p) {
            return p.extension() != ".canopy" && p.string().find(".state.") == std::string::npos;
        });
        return list;
    }
    std::vector<std::filesystem::path> latents() const {
        auto list = files("state");
        std::erase_if(list, [](const auto& p) { return p.string().find("latents") == std::string::npos; });
        return list;
    }
};

using Snapshot = std::shared_ptr<const StudioSnapshot>;

/// Waits until the snapshot is as wanted; a hang ends in a failure that shows all rows.
Snapshot waitUntil(const Studio& studio, const std::function<bool(const StudioSnapshot&)>& wanted) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    Snapshot s = studio.snapshot();
    while (!wanted(*s) && std::chrono::steady_clock::now() < deadline)
        s = studio.waitForChange(s->sequence, milliseconds(500));
    std::string rows;
    for (const JobRow& row : s->jobs)
        rows += "\n  " + std::to_string(row.record.id) + " " + std::string(jobStateName(row.record.state)) +
                " | " + row.words;
    REQUIRE_MESSAGE(wanted(*s), "worker: " << s->worker.words << rows);
    return s;
}

JobRow waitEnd(const Studio& studio, JobId id) {
    const auto s = waitUntil(studio, [&](const StudioSnapshot& snapshot) {
        const JobRow* row = snapshot.find(id);
        return row && isFinished(row->record.state);
    });
    return *s->find(id);
}

JobId press(Studio& studio, const GenerationRequest& r, const JobTarget& target = {}) {
    auto id = studio.generate(r, target);
    REQUIRE_MESSAGE(id.ok(), (id ? "" : id.error().message));
    return *id;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

bool told(const Studio& studio, std::string_view part) {
    const auto s = studio.snapshot();
    return std::any_of(s->notes.begin(), s->notes.end(),
                       [&](const std::string& note) { return has(note, part); });
}

} // namespace

TEST_CASE("names from prompts are safe and never empty") {
    CHECK(outputName("A red boat, on the SEA!", 42) == "a-red-boat-on-the-sea-42");
    CHECK(outputName("../../etc/passwd", 1) == "etc-passwd-1");
    CHECK(outputName("\xE6\xB5\xB7", 7) == "clip-7");
    CHECK(outputName("", 0) == "clip-0");
    CHECK(outputName(std::string(500, 'a'), 3).size() <= 50);
    CHECK(outputName("-- a --", 3) == "a-3");
}

TEST_CASE("a request that cannot run is refused at the press, with all reasons") {
    Home home;
    auto studio = home.open();
    GenerationRequest bad = request();
    bad.width = 65;
    bad.height = 64;
    bad.frames = 10;
    const auto refused = studio->generate(bad);
    REQUIRE_FALSE(refused.ok());
    CHECK(has(refused.error().message, "multiple of 16"));
    CHECK(has(refused.error().message, "multiple of 4"));
    GenerationRequest unknown = request();
    unknown.modelId = "nothing";
    CHECK(has(studio->generate(unknown).error().message, "is not there"));
    GenerationRequest huge = request();
    huge.memoryBudgetGb = 0.05;
    const auto tooBig = studio->generate(huge);
    REQUIRE_FALSE(tooBig.ok());
    CHECK(has(tooBig.error().message, "the limit is 0.05 GB"));
    CHECK(studio->check(request()).problems.empty());
    CHECK(studio->check(request()).plan.peakBytes(DeviceKind::Cpu) > 0);
    CHECK_FALSE(studio->generate(request(), {home.folder / "x.avi", {}, false}).ok());
    CHECK(studio->snapshot()->jobs.empty());
}

TEST_CASE("a job that fails does not stop the next") {
    Home home({"CANOPY_FAULT=point=step,n=2,do=oom,seed=13"});
    auto studio = home.open();
    const JobId bad = press(*studio, request(13));
    const JobId good = press(*studio, request(14));
    const JobRow failed = waitEnd(*studio, bad);
    CHECK(failed.record.state == JobState::Failed);
    CHECK(failed.record.code == ErrorCode::OutOfMemory);
    CHECK(has(failed.words, "Choose a smaller size"));
    CHECK(failed.canRetry);
    CHECK(waitEnd(*studio, good).record.state == JobState::Done);
    CHECK_FALSE(studio->snapshot()->queuePaused);
}

TEST_CASE("a job that ends the worker twice is set aside; the others go on") {
    Home home({"CANOPY_FAULT=point=step,n=2,do=segv,seed=13"});
    auto studio = home.open();
    const JobId bad = press(*studio, request(13));
    const JobRow first = waitEnd(*studio, bad);
    CHECK(first.record.state == JobState::Interrupted);
    CHECK(first.record.code == ErrorCode::WorkerLost);
    CHECK(first.canRetry);
    const JobId good = press(*studio, request(14));
    CHECK(waitEnd(*studio, good).record.state == JobState::Done);
    REQUIRE(studio->resumeQueue()); // queues the interrupted one again
    const auto s = waitUntil(
        *studio, [&](const StudioSnapshot& x) { return x.find(bad)->record.state == JobState::Quarantined; });
    CHECK(has(s->find(bad)->words, "ended the engine twice"));
    CHECK(waitEnd(*studio, press(*studio, request(15))).record.state == JobState::Done);
    CHECK_FALSE(s->notes.empty());
}

#if CANOPY_HAS_MEDIA

TEST_CASE("a press becomes a verified clip, a library row and a done job") {
    Home home({"CANOPY_FAKE_BLOCK_MS=5"});
    auto studio = home.open();
    JobTarget target;
    target.framesDir = home.folder / "frames";
    const JobId id = press(*studio, request(42), target);
    std::set<std::string> words;
    double fraction = 0;
    bool preview = false;
    const auto done = waitUntil(*studio, [&](const StudioSnapshot& s) {
        const JobRow* row = s.find(id);
        if (!row)
            return false;
        words.insert(row->words);
        if (row->progress) {
            CHECK(row->progress->fraction >= fraction);
            fraction = row->progress->fraction;
        }
        preview |= s.preview && s.preview->job == id && !s.preview->rgb.empty();
        return isFinished(row->record.state);
    });
    const JobRow row = *done->find(id);
    CHECK_MESSAGE(row.record.state == JobState::Done, row.words);
    CHECK(row.record.resultFile == home.folder / "clips" / "a-red-boat-on-the-sea-42.mp4");
    CHECK(row.record.clip()->kernelSet == "fake"); // resolved by the worker, stored
    CHECK(row.record.summary["make_seconds"].asDouble() > 0);
    CHECK(row.thumbnail != nullptr);
    CHECK(preview);
    CHECK(std::any_of(words.begin(), words.end(), [](const auto& w) { return has(w, "Step "); }));
    CHECK(home.files("clips").size() == 1);
    CHECK(home.files("frames").size() == kFrames);
    CHECK(home.latents().empty());

    auto reader = media::VideoReader::open(row.record.resultFile);
    REQUIRE(reader.ok());
    CHECK((*reader)->info().frames == kFrames);
    const auto reloaded = readClipRequest(row.record.resultFile);
    REQUIRE(reloaded.ok());
    GenerationRequest expected = *row.record.clip();
    expected.modelPath.clear();
    CHECK(*reloaded == expected);

    const auto clips = studio->clips("BOAT");
    REQUIRE(clips.size() == 1);
    CHECK(clips[0].file == row.record.resultFile);
    CHECK(clips[0].modelLabel == "Scripted");
    CHECK(clips[0].thumbnail.width == 64);
    const auto counter = done->libraryChanges;
    REQUIRE(studio->setStarred(clips[0].id, true));
    waitUntil(*studio, [&](const StudioSnapshot& s) { return s.libraryChanges != counter; });

    // The index can be lost: it is made again from the files.
    studio.reset();
    std::filesystem::remove(home.folder / "data" / "clips.sqlite3");
    std::filesystem::remove(home.folder / "data" / "clips.sqlite3-wal");
    std::filesystem::remove(home.folder / "data" / "clips.sqlite3-shm");
    studio = home.open();
    waitUntil(*studio, [&](const StudioSnapshot&) { return !studio->clips().empty(); });
    const Clip again = studio->clips().at(0);
    CHECK(again.request == expected);
    CHECK(again.thumbnail.width == 64);
    CHECK(again.makeSeconds > 0);
}

TEST_CASE("jobs run in order; the queue pauses, resumes, is re-ordered, cancelled, duplicated and cleared") {
    Home home;
    auto studio = home.open();
    REQUIRE(studio->pauseQueue());
    const JobId a = press(*studio, request(1));
    const JobId b = press(*studio, request(2));
    const JobId c = press(*studio, request(3));
    const JobId d = press(*studio, request(4));
    auto s = waitUntil(*studio, [](const StudioSnapshot& x) { return x.jobs.size() == 4 && x.queuePaused; });
    CHECK(s->find(a)->words == "Waiting, the queue is paused");
    CHECK(s->running == 0);
    REQUIRE(studio->moveBefore(c, a));
    REQUIRE(studio->cancel(d));
    REQUIRE(studio->resumeQueue());
    for (const JobId id : {a, b, c})
        CHECK_MESSAGE(waitEnd(*studio, id).record.state == JobState::Done, id);
    s = studio->snapshot();
    CHECK(s->find(d)->record.state == JobState::Cancelled);
    CHECK(s->find(c)->record.startedMillis <= s->find(a)->record.startedMillis);
    CHECK(s->find(a)->record.startedMillis <= s->find(b)->record.startedMillis);
    const JobId again = *studio->duplicate(a);
    CHECK(waitEnd(*studio, again).record.resultFile.filename() == "a-red-boat-on-the-sea-1-2.mp4");
    CHECK(*studio->clearFinished() == 5);
    waitUntil(*studio, [](const StudioSnapshot& x) { return x.jobs.empty(); });
    CHECK(home.files("clips").size() == 4);
}

TEST_CASE("a running job is cancelled, leaves nothing behind, and the next one is right") {
    Home home({"CANOPY_FAKE_BLOCK_MS=20"});
    auto studio = home.open();
    for (int delay : {0, 30, 250, 700}) {
        const JobId id = press(*studio, request(5));
        if (delay > 0)
            waitUntil(*studio, [&](const StudioSnapshot& s) {
                const JobRow* row = s.find(id);
                return row && row->progress && row->progress->elapsedSeconds * 1000 > delay;
            });
        REQUIRE(studio->cancel(id));
        CHECK(waitEnd(*studio, id).record.state == JobState::Cancelled);
    }
    CHECK(home.files("clips").empty());
    CHECK(home.latents().empty());
    CHECK(waitEnd(*studio, press(*studio, request(6))).record.state == JobState::Done);
}

TEST_CASE("a clip pauses, lets the others go on, outlives the program and goes on") {
    Home home({"CANOPY_FAKE_BLOCK_MS=15"});
    JobId first = 0, second = 0;
    {
        auto studio = home.open();
        first = press(*studio, request(5));
        second = press(*studio, request(6));
        const JobId third = press(*studio, request(7));
        REQUIRE(studio->pauseJob(second)); // it only waits
        waitUntil(*studio, [&](const StudioSnapshot& s) {
            const JobRow* row = s.find(first);
            return row && row->progress && row->progress->unit >= 1 && row->canPause;
        });
        REQUIRE(studio->pauseJob(first));
        const auto s = waitUntil(*studio, [&](const StudioSnapshot& x) {
            return x.find(first)->record.state == JobState::Paused;
        });
        CHECK(s->find(first)->words.starts_with("Paused at step "));
        CHECK(s->find(first)->canResume);
        CHECK(s->find(first)->canCancel);
        CHECK_FALSE(s->find(first)->canPause);
        CHECK_FALSE(s->find(first)->canRetry);
        CHECK(s->find(second)->record.state == JobState::Paused);
        CHECK_FALSE(studio->resumeJob(third).ok());
        CHECK(waitEnd(*studio, third).record.state == JobState::Done);
    }
    home.options.workerEnvironment.clear();
    auto studio = home.open();
    CHECK(studio->snapshot()->notes.empty());
    waitUntil(*studio, [&](const StudioSnapshot& x) { return x.find(first) != nullptr; });
    CHECK(studio->snapshot()->find(first)->record.state == JobState::Paused);
    REQUIRE(studio->resumeJob(first));
    const JobRow done = waitEnd(*studio, first);
    CHECK(done.record.state == JobState::Done);
    CHECK(done.record.summary["resumed_at"]["row"].asInt() >= 1);
    CHECK(told(*studio, "goes on from step"));
    CHECK(home.states().empty());
    REQUIRE(studio->cancel(second));
    CHECK(waitEnd(*studio, second).record.state == JobState::Cancelled);
    CHECK(home.files("clips").size() == 2);
}

TEST_CASE("a clip paused while its pictures are made goes on from the latents") {
    Home home({"CANOPY_FAULT=point=frame,n=3,do=slow=1500"});
    auto studio = home.open();
    const JobId id = press(*studio, request(5));
    waitUntil(*studio, [&](const StudioSnapshot& s) {
        const JobRow* row = s.find(id);
        return row && row->record.state == JobState::Encoding;
    });
    REQUIRE(studio->pauseJob(id));
    const auto s = waitUntil(
        *studio, [&](const StudioSnapshot& x) { return x.find(id)->record.state == JobState::Paused; });
    CHECK(s->find(id)->words == "Paused before its pictures are written");
    CHECK(home.files("clips").empty());
    CHECK(home.latents().size() == 1);
    REQUIRE(studio->resumeJob(id));
    CHECK(waitEnd(*studio, id).record.state == JobState::Done);
    CHECK(home.latents().empty());
}

TEST_CASE("a worker killed from outside: the job is interrupted, the next succeeds") {
    Home home({"CANOPY_FAKE_BLOCK_MS=15"});
    auto studio = home.open();
    const JobId id = press(*studio, request(5));
    const auto s = waitUntil(*studio, [&](const StudioSnapshot& x) {
        const JobRow* row = x.find(id);
        return row && row->progress && row->progress->unit >= 1 && x.worker.pid > 0;
    });
    REQUIRE(::kill(static_cast<pid_t>(s->worker.pid), SIGKILL) == 0);
    const JobRow row = waitEnd(*studio, id);
    CHECK(row.record.state == JobState::Interrupted);
    CHECK(has(row.words, "signal 9"));
    CHECK(home.files("clips").empty());
    CHECK(waitEnd(*studio, press(*studio, request(6))).record.state == JobState::Done);
    REQUIRE(studio->retry(id));
    waitUntil(*studio, [&](const StudioSnapshot& x) { return x.find(id)->record.state == JobState::Done; });
}

TEST_CASE("a worker killed after a state was saved: the clip goes on from there by itself") {
    Home home({"CANOPY_FAKE_BLOCK_MS=15"});
    home.options.stateSeconds = 0;
    auto studio = home.open();
    const JobId id = press(*studio, request(5));
    const auto s = waitUntil(*studio, [&](const StudioSnapshot& x) {
        const JobRow* row = x.find(id);
        return row && row->progress && row->progress->unit >= 3 && x.worker.pid > 0;
    });
    REQUIRE(::kill(static_cast<pid_t>(s->worker.pid), SIGKILL) == 0);
    const JobRow row = waitEnd(*studio, id);
    CHECK(row.record.state == JobState::Done);
    CHECK(row.record.attempt == 2);
    CHECK(row.record.summary["resumed_at"]["row"].asInt() >= 2);
    CHECK(told(*studio, "goes on from step"));
    CHECK(home.states().empty());
}

TEST_CASE("a saved state that is damaged, foreign or newer is told, and the clip begins anew") {
    Home home({"CANOPY_FAKE_BLOCK_MS=15"});
    auto studio = home.open();
    const JobId id = press(*studio, request(5));
    waitUntil(*studio, [&](const StudioSnapshot& x) {
        const JobRow* row = x.find(id);
        return row && row->progress && row->progress->unit >= 2;
    });
    REQUIRE(studio->pauseJob(id));
    waitUntil(*studio, [&](const StudioSnapshot& x) { return x.find(id)->record.state == JobState::Paused; });
    const auto file = home.folder / "state" / ("job-" + std::to_string(id) + ".canopy");
    const auto whole = *readFile(file, 1 << 20);
    const auto sentence = [&](std::vector<std::uint8_t> bytes) {
        const auto other = home.folder / "other.canopy";
        REQUIRE(writeFileAtomically(other, std::span<const std::uint8_t>(bytes)).ok());
        const auto taken = studio->resumeClip(other);
        return taken ? std::string() : taken.error().message;
    };
    auto newer = whole;
    newer[8] = 9; // the format's version
    CHECK(has(sentence(newer), "format version 9"));
    CHECK(has(sentence({'n', 'o', 'p', 'e'}), "no Canopy recording"));
    auto damaged = whole;
    const std::string text(whole.begin(), whole.end());
    damaged[text.find("canopy_state_version")] ^= 1;
    CHECK(has(sentence(damaged), "damaged"));
    auto cut = whole;
    cut.resize(cut.size() / 3);
    CHECK(has(sentence(cut), "damaged"));

    REQUIRE(writeFileAtomically(file, std::span<const std::uint8_t>(damaged)).ok());
    REQUIRE(studio->resumeJob(id));
    const JobRow row = waitEnd(*studio, id);
    CHECK(row.record.state == JobState::Done);
    CHECK(row.record.summary["resumed_at"].isNull());
    CHECK(told(*studio, "begins anew, because its saved state cannot be used"));
}

TEST_CASE("a saved state from elsewhere becomes a job of its own") {
    Home home({"CANOPY_FAKE_BLOCK_MS=15"});
    const auto carried = home.folder / "carried.canopy";
    {
        auto studio = home.open();
        const JobId id = press(*studio, request(5));
        waitUntil(*studio, [&](const StudioSnapshot& x) {
            const JobRow* row = x.find(id);
            return row && row->progress && row->progress->unit >= 2;
        });
        REQUIRE(studio->pauseJob(id));
        waitUntil(*studio,
                  [&](const StudioSnapshot& x) { return x.find(id)->record.state == JobState::Paused; });
        std::filesystem::copy_file(home.folder / "state" / "job-1.canopy", carried);
        REQUIRE(studio->cancel(id));
        CHECK(home.states().empty()); // a cancelled clip goes on from nothing
    }
    Home elsewhere;
    auto studio = elsewhere.open();
    JobTarget target;
    target.file = elsewhere.folder / "clips" / "mine.mp4";
    const auto id = studio->resumeClip(carried, target);
    REQUIRE_MESSAGE(id.ok(), (id ? "" : id.error().message));
    const JobRow row = waitEnd(*studio, *id);
    CHECK(row.record.state == JobState::Done);
    CHECK(row.record.resultFile == target.file);
    CHECK(row.record.clip()->seed == 5);
    CHECK(row.record.summary["resumed_at"]["row"].asInt() >= 1);
}

TEST_CASE("a crash after denoising costs one decode: the saved latents are used again") {
    // The fake ends the worker at the second frame, after the latents were handed over, whenever it runs.
    Home home({"CANOPY_FAULT=point=frame,n=3,do=exit=3,seed=13"});
    std::filesystem::path latents;
    {
        auto studio = home.open();
        const JobId id = press(*studio, request(13));
        const JobRow row = waitEnd(*studio, id);
        // Once more by itself from the latents, then set aside.
        CHECK(row.record.state == JobState::Quarantined);
        CHECK(row.record.attempt == 2);
        latents = row.record.latentsFile;
        REQUIRE_FALSE(latents.empty());
        CHECK(std::filesystem::exists(latents));
        CHECK(home.files("clips").empty());
    }
    home.options.workerEnvironment.clear();
    auto studio = home.open();
    REQUIRE(studio->retry(1));
    waitUntil(*studio,
              [](const StudioSnapshot& x) { return x.find(1) && x.find(1)->record.state == JobState::Done; });
    CHECK_FALSE(std::filesystem::exists(latents));
}

TEST_CASE("closing during a job leaves it interrupted; the next start goes on") {
    Home home({"CANOPY_FAKE_BLOCK_MS=30"});
    JobId id = 0;
    {
        auto studio = home.open();
        id = press(*studio, request(5));
        waitUntil(*studio, [&](const StudioSnapshot& s) { return s.running == id; });
    }
    home.options.workerEnvironment.clear();
    auto studio = home.open();
    auto s = waitUntil(*studio, [&](const StudioSnapshot& x) { return x.find(id) != nullptr; });
    CHECK(s->find(id)->record.state == JobState::Interrupted);
    CHECK_FALSE(s->queuePaused);
    REQUIRE(studio->resumeQueue());
    waitUntil(*studio, [&](const StudioSnapshot& x) { return x.find(id)->record.state == JobState::Done; });
}

TEST_CASE("killed in the middle: the next start says so, pauses, and loses nothing") {
    Home home({"CANOPY_FAKE_BLOCK_MS=20"});
    home.options.stateSeconds = 0;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        auto studio = Studio::open(home.options);
        if (!studio)
            ::_exit(1);
        const auto first = (*studio)->generate(request(1));
        const auto second = (*studio)->generate(request(2));
        auto s = (*studio)->snapshot();
        const auto far = [&] {
            const JobRow* row = s->find(1);
            return row && row->progress && row->progress->unit >= 3;
        };
        while (!far())
            s = (*studio)->waitForChange(s->sequence, milliseconds(100));
        const char ok = first && second ? 'y' : 'n';
        [[maybe_unused]] const auto n = ::write(ends[1], &ok, 1);
        ::pause();
        ::_exit(0);
    }
    ::close(ends[1]);
    char answer = 0;
    REQUIRE(::read(ends[0], &answer, 1) == 1);
    CHECK(answer == 'y');
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    ::close(ends[0]);

    home.options.workerEnvironment.clear();
    auto studio = home.open();
    const auto s = waitUntil(*studio, [](const StudioSnapshot& x) { return x.jobs.size() == 2; });
    CHECK(s->queuePaused);
    CHECK(has(s->pauseReason, "not closed properly"));
    CHECK(s->find(1)->record.state == JobState::Interrupted);
    CHECK(s->find(2)->record.state == JobState::Queued);
    REQUIRE(studio->resumeQueue());
    for (const JobId id : {1, 2})
        waitUntil(*studio,
                  [&](const StudioSnapshot& x) { return x.find(id)->record.state == JobState::Done; });
    CHECK(home.files("clips").size() == 2);
    CHECK(told(*studio, "goes on from step"));
    CHECK(studio->snapshot()->find(1)->record.summary["resumed_at"]["row"].asInt() >= 2);
}

TEST_CASE("the command line's job runs while the queue is paused and leaves the rest alone") {
    Home home;
    {
        auto window = home.open();
        REQUIRE(window->pauseQueue());
        press(*window, request(1));
    }
    home.options.onlyReservedJobs = true;
    auto studio = home.open();
    const JobId mine = press(*studio, request(2), {home.folder / "out" / "mine.mp4", {}, false});
    const JobRow row = waitEnd(*studio, mine);
    CHECK_MESSAGE(row.record.state == JobState::Done, row.words);
    CHECK(row.record.resultFile == home.folder / "out" / "mine.mp4");
    CHECK(studio->snapshot()->find(1)->record.state == JobState::Queued);

    // Given up while it waits for a job before it: it does not run in the window later.
    home.options.workerEnvironment = {"CANOPY_FAKE_BLOCK_MS=30"};
    studio.reset();
    studio = home.open();
    const JobId running = press(*studio, request(3));
    const JobId waiting = press(*studio, request(4));
    waitUntil(*studio, [&](const StudioSnapshot& s) { return s.running == running; });
    studio.reset();
    home.options.onlyReservedJobs = false;
    studio = home.open();
    const auto s = waitUntil(*studio, [&](const StudioSnapshot& x) { return x.find(waiting) != nullptr; });
    CHECK(s->find(waiting)->record.state == JobState::Cancelled);
    CHECK(s->find(running)->record.state == JobState::Interrupted);
}

TEST_CASE("a worker that cannot be started is told, and the job survives") {
    Home home;
    home.options.workerProgram = home.folder / "no-such-program";
    auto studio = home.open();
    const JobId id = press(*studio, request());
    const auto s =
        waitUntil(*studio, [](const StudioSnapshot& x) { return x.worker.state == WorkerState::Stopped; });
    CHECK(has(s->worker.words, "Stopped"));
    const JobState state = s->find(id) ? s->find(id)->record.state : JobState::Queued;
    CHECK((state == JobState::Queued || state == JobState::Interrupted || state == JobState::Running ||
           state == JobState::Quarantined));
    studio.reset();
    home.options.onlyReservedJobs = true;
    studio = home.open();
    const JobRow row = waitEnd(*studio, press(*studio, request(3)));
    CHECK(row.record.state != JobState::Done);
    CHECK(row.record.sentence.size() > 10);
}

TEST_CASE("full disk and read-only folder: a sentence, the queue pauses, nothing under the final name, retry "
          "works") {
    Home home({"CANOPY_FAKE_BLOCK_MS=15"});
    const auto mountPoint = home.folder / "clips";
    std::filesystem::create_directories(mountPoint);
    if (::mount("tmpfs", mountPoint.c_str(), "tmpfs", 0, "size=200k") != 0) {
        MESSAGE("skipped: a small disk cannot be mounted here (needs root): " << std::strerror(errno));
        return;
    }
    struct Unmount {
        std::filesystem::path at;
        ~Unmount() { ::umount2(at.c_str(), MNT_DETACH); }
    } unmount{mountPoint};
    auto studio = home.open();
    const JobId id = press(*studio, request());
    waitUntil(*studio, [&](const StudioSnapshot& x) { return x.running == id; });
    std::ofstream(mountPoint / "filler")
        << std::string(300'000, 'x'); // the disk fills while the clip is made
    const JobRow row = waitEnd(*studio, id);
    CHECK(row.record.state == JobState::Failed);
    CHECK_MESSAGE(has(row.words, "disk is full"), row.words);
    const auto s = waitUntil(*studio, [](const StudioSnapshot& x) { return x.queuePaused; });
    CHECK(has(s->pauseReason, "disk is full"));
    CHECK(home.files("clips") == std::vector<std::filesystem::path>{"filler"});
    CHECK(home.latents().size() == 1); // the calculation is kept

    REQUIRE(::mount("tmpfs", mountPoint.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=10m") == 0);
    REQUIRE(studio->retry(id));
    REQUIRE(studio->resumeQueue());
    waitUntil(*studio, [&](const StudioSnapshot& x) { return has(x.find(id)->words, "choose another"); });
    REQUIRE(::mount("tmpfs", mountPoint.c_str(), "tmpfs", MS_REMOUNT, "size=10m") == 0);
    REQUIRE(studio->retry(id));
    REQUIRE(studio->resumeQueue());
    waitUntil(*studio, [&](const StudioSnapshot& x) { return x.find(id)->record.state == JobState::Done; });
    studio.reset();
}

TEST_CASE("a first image is decoded here and a missing one is told") {
    Home home;
    auto studio = home.open();
    GenerationRequest r = request();
    r.imagePath = (home.folder / "none.png").string();
    CHECK(waitEnd(*studio, press(*studio, r)).record.state == JobState::Failed);
    media::Frame picture{20, 10, 0, std::vector<std::uint8_t>(600, 200)};
    const auto png = media::encodePng(picture);
    REQUIRE(png.ok());
    REQUIRE(writeFileAtomically(home.folder / "a.png", std::span<const std::uint8_t>(*png)).ok());
    r.imagePath = (home.folder / "a.png").string();
    const JobRow row = waitEnd(*studio, press(*studio, r));
    CHECK_MESSAGE(row.record.state == JobState::Done, row.words);
    CHECK(row.record.clip()->imagePath == r.imagePath);
    const auto state = home.files("state");
    CHECK(std::none_of(state.begin(), state.end(), [](const auto& p) { return has(p.string(), ".image."); }));
}

#else

TEST_CASE("without media a job leaves frames, settings and latents") {
    Home home;
    auto studio = home.open();
    const JobRow row = waitEnd(*studio, press(*studio, request(42)));
    CHECK_MESSAGE(row.record.state == JobState::Done, row.words);
    CHECK(row.record.resultFile == home.folder / "clips" / "a-red-boat-on-the-sea-42-frames");
    const auto files = home.files("clips/a-red-boat-on-the-sea-42-frames");
    CHECK(files.size() == kFrames + 2);
    CHECK(std::find(files.begin(), files.end(), "latents.safetensors") != files.end());
    CHECK_FALSE(Studio::hasMedia());
}

#endif
