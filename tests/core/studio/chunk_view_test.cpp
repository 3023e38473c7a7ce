#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/studio/studio.h"
#include "tests/support/fake_chunks.h"
#include "tests/support/small_model.h"
#include "tests/support/temp_folder.h"

using namespace canopy;

TEST_CASE("the record of a clip's chunks is shown while it grows, kept with the job and written as JSON") {
    const test::TempFolder folder;
    StudioOptions options;
    options.dataFolder = folder / "data";
    options.stateFolder = folder / "state";
    options.clipFolder = folder / "clips";
    options.findModel = [](const GenerationRequest&) -> Result<ModelRecord> { return test::smallModel(); };
    const char* bin = std::getenv("CANOPY_BIN_DIR");
    options.workerProgram = std::filesystem::path(bin ? bin : "bin") / "canopy-fake-worker";
    options.chunkRecordFile = folder / "chunks.json";

    GenerationRequest request;
    request.prompt = "a boat";
    request.modelId = "skyreels-df-test";
    request.frames = 33;
    request.steps = 6;
    request.chunks.mode = SamplingMode::Chunked;
    request.chunks.blockFrames = 3;

    JobId job = 0;
    ChunkRecord expected;
    {
        auto studio = Studio::open(options);
        REQUIRE_MESSAGE(studio.ok(), (studio ? "" : studio.error().message));
        const auto queued = (*studio)->generate(request);
        REQUIRE_MESSAGE(queued.ok(), (queued ? "" : queued.error().message));
        job = *queued;
        CHECK_FALSE((*studio)->chunkRecord(job).ok());
        auto s = (*studio)->snapshot();
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        const auto ended = [&] {
            const JobRow* row = s->find(job);
            return row != nullptr && isFinished(row->record.state);
        };
        while (!ended() && std::chrono::steady_clock::now() < deadline)
            s = (*studio)->waitForChange(s->sequence, std::chrono::milliseconds(500));
        REQUIRE(ended());
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
