#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <functional>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/studio/studio.h"
#include "tests/support/fake_chunks.h"
#include "tests/support/small_model.h"
#include "tests/support/temp_folder.h"

using namespace canopy;

namespace {

StudioOptions optionsIn(const test::TempFolder& folder) {
    StudioOptions options;
    options.dataFolder = folder / "data";
    options.stateFolder = folder / "state";
    options.clipFolder = folder / "clips";
    options.findModel = [](const GenerationRequest&) -> Result<ModelRecord> { return test::smallModel(); };
    const char* bin = std::getenv("CANOPY_BIN_DIR");
    options.workerProgram = std::filesystem::path(bin ? bin : "bin") / "canopy-fake-worker";
    return options;
}

GenerationRequest chunked() {
    GenerationRequest request;
    request.prompt = "a boat";
    request.modelId = "skyreels-df-test";
    request.frames = 33;
    request.steps = 6;
    request.chunks.mode = SamplingMode::Chunked;
    request.chunks.blockFrames = 3;
    return request;
}

using Snapshot = std::shared_ptr<const StudioSnapshot>;

/// Until the job has ended or `until` says so.
Snapshot waitFor(const Studio& studio, JobId job,
                 const std::function<bool(const StudioSnapshot&)>& until = {}) {
    auto s = studio.snapshot();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    const auto ended = [&] {
        const JobRow* row = s->find(job);
        return (until && until(*s)) || (row != nullptr && isFinished(row->record.state));
    };
    while (!ended() && std::chrono::steady_clock::now() < deadline)
        s = studio.waitForChange(s->sequence, std::chrono::milliseconds(500));
    REQUIRE(ended());
    return s;
}

} // namespace

TEST_CASE("the record of a clip's chunks is shown while it grows, kept with the job and written as JSON") {
    const test::TempFolder folder;
    StudioOptions options = optionsIn(folder);
    options.chunkRecordFile = folder / "chunks.json";
    const GenerationRequest request = chunked();

    JobId job = 0;
    ChunkRecord expected;
    {
        auto studio = Studio::open(options);
        REQUIRE_MESSAGE(studio.ok(), (studio ? "" : studio.error().message));
        const auto queued = (*studio)->generate(request);
        REQUIRE_MESSAGE(queued.ok(), (queued ? "" : queued.error().message));
        job = *queued;
        CHECK_FALSE((*studio)->chunkRecord(job).ok());
        const auto s = waitFor(**studio, job);
        REQUIRE_MESSAGE(s->find(job)->record.state == JobState::Done, s->find(job)->words);
        expected = test::fakeChunkRecord(*s->find(job)->record.clip());
        REQUIRE(s->chunks.job == job);
        REQUIRE(s->chunks.record);
        CHECK(*s->chunks.record == expected);
    }
    options.chunkRecordFile.clear();
    auto studio = Studio::open(options);
    REQUIRE(studio.ok());
    CHECK((*studio)->snapshot()->chunks.job == 0);
    const auto kept = (*studio)->chunkRecord(job);
    REQUIRE_MESSAGE(kept.ok(), (kept ? "" : kept.error().message));
    CHECK(**kept == expected);
    const auto text = readTextFile(folder / "chunks.json", 1u << 20);
    REQUIRE(text.ok());
    CHECK(*parseJson(*text) == *parseJson(toJson(toValue(expected))));
    REQUIRE((*studio)->remove(job).ok());
    CHECK_FALSE((*studio)->chunkRecord(job).ok());
}

TEST_CASE("finished chunks can be seen while the next is made, with the time that is left of each") {
    const test::TempFolder folder;
    StudioOptions options = optionsIn(folder);
    options.workerEnvironment = {"CANOPY_FAKE_BLOCK_MS=5"};
    auto studio = Studio::open(options);
    REQUIRE(studio.ok());
    (*studio)->subscribe({"chunks"});
    const auto job = (*studio)->generate(chunked());
    REQUIRE(job.ok());
    const auto s = waitFor(**studio, *job, [](const StudioSnapshot& now) {
        return now.grown && int(now.grown->pictures.size()) >= test::fakeChunkEnd(0) &&
               now.chunks.forecast.seconds > 0;
    });
    REQUIRE(s->grown); // it is not done yet
    CHECK(s->find(*job)->record.state == JobState::Running);
    CHECK(s->grown->count == 33);
    CHECK(s->grown->width == 64);
    CHECK(s->grown->pictures.front()->size() == std::size_t{64} * 64 * 3);
    CHECK(s->grown->looks.size() == s->grown->pictures.size());
    REQUIRE(s->chunks.forecast.secondsLeft.size() == 3);
    CHECK(s->chunks.forecast.secondsLeft[0] == 0);
    CHECK(s->chunks.forecast.secondsLeft[2] > 0);
    CHECK(s->find(*job)->progress->remainingSeconds > 0);
    const auto done = waitFor(**studio, *job);
    CHECK(done->find(*job)->record.state == JobState::Done);
    CHECK_FALSE(done->grown);
    CHECK(done->chunks.forecast.secondsLeft.empty());
}

TEST_CASE("a clip goes on from a chunk of an earlier one, named by its file") {
    const test::TempFolder folder;
    auto studio = Studio::open(optionsIn(folder));
    REQUIRE(studio.ok());
    const auto first = (*studio)->generate(chunked());
    REQUIRE(first.ok());
    const auto file = waitFor(**studio, *first)->find(*first)->record.resultFile;
    REQUIRE_FALSE(file.empty());

    GenerationRequest take = chunked();
    take.seed = 2;
    take.chunks.fromChunk = 2;
    take.chunks.basePath = file.string();
    const auto second = (*studio)->generate(take);
    REQUIRE_MESSAGE(second.ok(), (second ? "" : second.error().message));
    const auto s = waitFor(**studio, *second);
    REQUIRE_MESSAGE(s->find(*second)->record.state == JobState::Done, s->find(*second)->words);
    CHECK(s->find(*second)->record.clip()->chunks.basePath == file.string());
    // Takes can be built upon each other, also over a restart.
    take.chunks.basePath = s->find(*second)->record.resultFile.string();
    CHECK((*studio)->check(take).problems.empty());

    take.frames = 21;
    take.chunks.fromChunk = 1;
    REQUIRE((*studio)->check(take).problems.size() == 1);
    CHECK((*studio)->check(take).problems.front().find("keep its size and length") != std::string::npos);
    take = chunked();
    take.chunks.fromChunk = 1;
    take.chunks.basePath = file.string();
    CHECK((*studio)->check(take).problems.empty());
    REQUIRE((*studio)->remove(*first).ok());
    CHECK_FALSE((*studio)->generate(take).ok());
    CHECK((*studio)->check(take).problems.front().find("is not kept") != std::string::npos);
}
