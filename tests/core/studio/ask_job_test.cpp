#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>

#include "core/base/files.h"
#include "core/job/answer.h"
#include "core/studio/studio.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using std::chrono::milliseconds;
using test::TempFolder;

// Questions through the conductor with the scripted engine: real sampling of a real clip, 4 x 4 cells.

namespace {

std::string sampleClip() {
    return std::string(std::getenv("CANOPY_SOURCE_DIR")) + "/resources/samples/boats-at-sunset.mp4";
}

QaModelRecord model() {
    QaModelRecord m;
    m.id = "llava-onevision-test";
    m.defaults.label = "Scripted";
    m.defaults.frames = 4;
    m.vision.imageSize = 32;
    m.vision.patch = 8;
    m.vision.width = 64;
    m.vision.heads = 1;
    m.vision.layers = 1;
    m.vision.mlpDim = 64;
    m.language.vocabulary = 100;
    m.language.width = 64;
    m.language.layers = 1;
    m.language.heads = 1;
    m.language.kvHeads = 1;
    m.language.headDim = 64;
    m.language.mlpDim = 64;
    m.stopIds = {1};
    return m;
}

AskRequest question(std::string text = "What is it?") {
    AskRequest r;
    r.videoPath = sampleClip();
    r.question = std::move(text);
    r.modelId = "llava-onevision-test";
    r.tokens.mode = TokenMode::ForestCode;
    r.tokens.keep = 0.25;
    return r;
}

struct Home {
    TempFolder folder;
    StudioOptions options;

    explicit Home(std::vector<std::string> environment = {}) {
        options.dataFolder = folder / "data";
        options.stateFolder = folder / "state";
        options.clipFolder = folder / "clips";
        options.findModel = [](const GenerationRequest&) -> Result<ModelRecord> {
            return makeError(ErrorCode::NotFound, "There is no model for clips here.");
        };
        options.findQaModel = [](const AskRequest&) -> Result<QaModelRecord> { return model(); };
        options.workerProgram = std::filesystem::path(std::getenv("CANOPY_BIN_DIR")) / "canopy-fake-worker";
        options.workerEnvironment = std::move(environment);
    }
    std::unique_ptr<Studio> open() const {
        auto studio = Studio::open(options);
        REQUIRE(studio.ok());
        return std::move(*studio);
    }
};

template <typename Done>
std::shared_ptr<const StudioSnapshot> waitUntil(Studio& studio, Done done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    auto snapshot = studio.snapshot();
    while (!done(*snapshot)) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        snapshot = studio.waitForChange(snapshot->sequence, milliseconds(200));
    }
    return snapshot;
}

AskView waitEnd(Studio& studio, JobId id) {
    const auto s = waitUntil(studio, [&](const StudioSnapshot& x) {
        const AskView* view = x.findAsk(id);
        return view && isFinished(view->state);
    });
    return *s->findAsk(id);
}

} // namespace

TEST_CASE("an answer streams in, its tokens are there, and both are there at the next start") {
    Home home({"CANOPY_FAKE_BLOCK_MS=40"});
    JobId id = 0;
    TokenRun told;
    {
        auto studio = home.open();
        id = *studio->ask(question());
        std::set<std::string> texts;
        bool runBeforeEnd = false;
        waitUntil(*studio, [&](const StudioSnapshot& s) {
            const AskView* view = s.findAsk(id);
            if (!view)
                return false;
            if (!view->text.empty())
                texts.insert(view->text);
            runBeforeEnd |= view->run && !isFinished(view->state);
            return isFinished(view->state);
        });
        const AskView view = waitEnd(*studio, id);
        CHECK_MESSAGE(view.state == JobState::Done, view.words);
        CHECK(texts.size() > 1); // more than the whole answer at once
        CHECK(runBeforeEnd);
        CHECK(view.text == "a scripted answer");
        REQUIRE(view.answer);
        CHECK(view.answer->request.kernelSet == "fake");
        REQUIRE(view.run);
        CHECK(view.run->frames == 4);
        CHECK(view.run->keptCells == 16);
        CHECK(view.run->frameIndex.front() == 0);
        CHECK(view.run->frameSeconds.back() > 1);
        told = *view.run;
        CHECK(studio->snapshot()->find(id)->title == "What is it?");
    }
    auto studio = home.open();
    const AskView* view =
        waitUntil(*studio, [](const StudioSnapshot& s) { return !s.asks.empty(); })->findAsk(id);
    REQUIRE(view);
    CHECK(view->text == "a scripted answer");
    const auto run = studio->tokenRun(id);
    REQUIRE(run.ok());
    CHECK(**run == told);
    REQUIRE(studio->remove(id));
    CHECK_FALSE(studio->tokenRun(id).ok());
}

TEST_CASE("a video that cannot be read has its sentence and does not stop the next question") {
    Home home;
    const auto broken = home.folder / "broken.mp4";
    std::ofstream(broken) << "no video at all";
    auto studio = home.open();
    AskRequest bad = question();
    bad.videoPath = broken.string();
    const JobId first = *studio->ask(bad);
    const JobId second = *studio->ask(question());
    const AskView failed = waitEnd(*studio, first);
    CHECK(failed.state == JobState::Failed);
    CHECK(failed.words.find("broken.mp4") != std::string::npos);
    CHECK(waitEnd(*studio, second).state == JobState::Done);
    CHECK_FALSE(studio->ask(AskRequest{}).ok()); // no video
    AskRequest one = question();
    one.options = {"only"};
    CHECK_FALSE(studio->ask(one).ok());
}

TEST_CASE("a question is cancelled while it is answered, and one that kills the engine twice is set aside") {
    SUBCASE("cancel") {
        Home home({"CANOPY_FAKE_BLOCK_MS=200"});
        auto studio = home.open();
        const JobId id = *studio->ask(question());
        waitUntil(*studio, [&](const StudioSnapshot& s) { return s.findAsk(id) && s.findAsk(id)->run; });
        REQUIRE(studio->cancel(id));
        CHECK(waitEnd(*studio, id).state == JobState::Cancelled);
    }
    SUBCASE("death") {
        Home home({"CANOPY_FAULT=point=word,n=2,do=segv,seed=7"});
        auto studio = home.open();
        AskRequest r = question();
        r.tokens.seed = 7;
        const JobId id = *studio->ask(r);
        CHECK(waitEnd(*studio, id).state == JobState::Interrupted);
        REQUIRE(studio->resumeQueue());
        waitUntil(*studio,
                  [&](const StudioSnapshot& s) { return s.findAsk(id)->state == JobState::Quarantined; });
        CHECK(waitEnd(*studio, *studio->ask(question())).state == JobState::Done);
    }
}

TEST_CASE("a cell's similarity is asked of the engine that has the features") {
    Home home;
    auto studio = home.open();
    const JobId id = *studio->ask(question());
    REQUIRE(waitEnd(*studio, id).state == JobState::Done);
    studio->probe(id, 5);
    const auto s = waitUntil(*studio, [](const StudioSnapshot& x) { return x.probe.ask != 0; });
    CHECK(s->probe.ask == id);
    CHECK_MESSAGE(s->probe.sentence.empty(), s->probe.sentence);
    REQUIRE(s->probe.cosine.size() == 64);
    CHECK(s->probe.cosine[5] == 1);
    CHECK(s->probe.cosine[6] == 0.25f);
    studio->probe(id, 6400);
    waitUntil(*studio,
              [](const StudioSnapshot& x) { return x.probe.cell == 6400 && !x.probe.sentence.empty(); });
}

TEST_CASE("the check says what a question costs before it is asked") {
    Home home;
    auto studio = home.open();
    const AskCheck check = studio->checkAsk(question());
    CHECK(check.problems.empty());
    CHECK(check.unprunedTokens == 4 * 4 + 1); // 2 x 2 cells of each frame after pooling
    CHECK(check.videoTokens == 4 + 1);
    CHECK(check.kvBytes > 0);
    AskRequest tight = question();
    tight.memoryBudgetGb = 0.01;
    CHECK_FALSE(studio->checkAsk(tight).problems.empty());
}
