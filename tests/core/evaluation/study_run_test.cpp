// A study on a scripted engine: stopped and resumed, the order of its arms, a worker that dies.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "core/evaluation/study_run.h"
#include "tests/support/small_model.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using namespace canopy::evaluation;
using canopy::test::TempFolder;

namespace {

StudyOptions optionsIn(const TempFolder& folder) {
    StudyOptions o;
    o.folder = folder.path();
    o.model = test::smallModel();
    for (const char* name : {"dense", "a", "b"}) {
        StudyArm arm;
        arm.name = name;
        arm.request.width = arm.request.height = 32;
        arm.request.frames = 5;
        arm.request.steps = name[0] == 'b' ? 3 : 2;
        o.grid.arms.push_back(arm);
    }
    o.grid.prompts = {{"one", {}, {}}, {"two", {}, {}}};
    o.grid.seeds = {1, 2};
    o.grid.repeats = 2;
    const char* bin = std::getenv("CANOPY_BIN_DIR");
    o.worker.executable = std::filesystem::path(bin ? bin : "build/bin") / "canopy-fake-worker";
    o.worker.environment = {"CANOPY_FAKE_BLOCK_MS=1"};
    return o;
}

/// Everything but times.
std::vector<std::string> shapes(const std::vector<StudyResult>& results) {
    std::vector<std::string> out;
    for (const StudyResult& r : results)
        out.push_back(std::to_string(r.prompt) + " " + std::to_string(r.seed) + " " + std::to_string(r.arm) +
                      " " + std::to_string(r.repeat) + " " + std::to_string(r.psnr.value_or(-1)));
    std::sort(out.begin(), out.end());
    return out;
}

} // namespace

TEST_CASE("every arm of every prompt, seed and repeat; the reference first, the others rotated") {
    TempFolder folder;
    const auto outcome = runStudy(optionsIn(folder), {});
    REQUIRE_MESSAGE(outcome.ok(), outcome.error().message);
    REQUIRE(outcome->results.size() == 2 * 2 * 2 * 3);
    for (std::size_t i = 0; i < outcome->results.size(); i += 3) {
        CHECK(outcome->results[i].arm == 0);
        CHECK(outcome->results[i + 1].arm == (i / 3) % 2 + 1);
        CHECK(!outcome->results[i].psnr);
        // The scripted engine draws by seed alone: equal clips.
        CHECK(*outcome->results[i + 1].psnr == 100);
        CHECK(outcome->results[i].denoiseSeconds > 0);
        CHECK(outcome->results[i].summary["peak_bytes"].isNumber());
    }
    CHECK(outcome->machine.find("2 threads") != std::string::npos);
    const auto again = runStudy(optionsIn(folder), {}); // nothing is left to do
    REQUIRE(again.ok());
    CHECK(shapes(again->results) == shapes(outcome->results));
    CHECK(again->machine == outcome->machine);

    TempFolder other;
    auto options = optionsIn(other);
    std::stop_source stop;
    options.progress = [&](const StudyProgress& p) {
        CHECK(p.clips == 24);
        if (p.done == 8)
            stop.request_stop();
    };
    const auto stopped = runStudy(options, stop.get_token());
    REQUIRE(!stopped.ok());
    CHECK(stopped.error().code == ErrorCode::Cancelled);
    options.progress = {};
    const auto resumed = runStudy(options, {});
    REQUIRE_MESSAGE(resumed.ok(), resumed.error().message);
    CHECK(shapes(resumed->results) == shapes(outcome->results));
    options.grid.arms[1].request.steps = 9;
    const auto refused = runStudy(options, {});
    REQUIRE(!refused.ok());
    CHECK(refused.error().code == ErrorCode::Mismatch);
}

TEST_CASE("density counts dense calls as whole, from the statistics that an arm tells") {
    TempFolder folder;
    auto options = optionsIn(folder);
    options.grid.arms.resize(2);
    options.grid.arms[1].request.attention.method = AttentionMethod::XAttention;
    options.grid.prompts.resize(1);
    options.grid.seeds = {1};
    options.grid.repeats = 1;
    const auto outcome = runStudy(options, {});
    REQUIRE_MESSAGE(outcome.ok(), outcome.error().message);
    REQUIRE(outcome->results.size() == 2);
    CHECK(!outcome->results[0].density);
    CHECK(*outcome->results[1].density == doctest::Approx(0.75)); // half the calls dense, half at 0.5
    CHECK(*outcome->results[1].reusedShare == 0.25);
    CHECK(*outcome->results[1].attentionSeconds == 0.3);
}

TEST_CASE("a worker that dies ends the study with a sentence and keeps what was made") {
    TempFolder folder;
    auto options = optionsIn(folder);
    options.worker.environment.push_back("CANOPY_FAULT=point=frame,n=2,do=exit=3,seed=2");
    const auto died = runStudy(options, {});
    REQUIRE(!died.ok());
    CHECK(died.error().message.find("The clip of prompt 1, \"dense\"") == 0);
    options.worker.environment.pop_back();
    const auto resumed = runStudy(options, {});
    REQUIRE_MESSAGE(resumed.ok(), resumed.error().message);
    CHECK(resumed->results.size() == 24);
}

TEST_CASE("parts beside each other make every clip once, and the folder holds the whole study") {
    TempFolder folder, other;
    const auto whole = runStudy(optionsIn(other), {});
    REQUIRE_MESSAGE(whole.ok(), whole.error().message);
    auto options = optionsIn(folder);
    options.parts = 2;
    options.part = 1;
    std::size_t told = 0;
    options.progress = [&](const StudyProgress& p) {
        CHECK(p.clips == 12);
        told = p.done;
    };
    const auto second = runStudy(options, {});
    REQUIRE_MESSAGE(second.ok(), second.error().message);
    CHECK(told == 12);
    CHECK(second->results.size() == 12);
    CHECK(second->results[0].prompt == 1);
    options.part = 0;
    options.only = {2};
    CHECK(runStudy(options, {})->results.size() == 12 + 8); // what it sees of the other and two ways
    options.only.clear();
    REQUIRE(runStudy(options, {}).ok());
    options = optionsIn(folder);
    options.readOnly = true;
    const auto both = runStudy(options, {});
    REQUIRE_MESSAGE(both.ok(), both.error().message);
    CHECK(shapes(both->results) == shapes(whole->results));
    CHECK(both->machine == whole->machine);
    std::ofstream(folder / "study-3-of-4.jsonl") << "{\"version\":1}\n";
    CHECK(runStudy(options, {}).error().code == ErrorCode::Mismatch);
}

TEST_CASE("clips made in blocks tell of reused steps, their cost and the fidelity of each block") {
    TempFolder folder;
    auto options = optionsIn(folder);
    options.grid.arms.resize(2);
    for (StudyArm& arm : options.grid.arms) {
        arm.request.frames = 33;
        arm.request.steps = 6;
        arm.request.chunks.mode = SamplingMode::Chunked;
        arm.request.chunks.blockFrames = 3;
    }
    options.grid.arms[1].request.chunks.mode = SamplingMode::Whole;
    options.grid.prompts.resize(1);
    options.grid.seeds = {1};
    options.grid.repeats = 1;
    const auto outcome = runStudy(options, {});
    REQUIRE_MESSAGE(outcome.ok(), outcome.error().message);
    REQUIRE(outcome->results.size() == 2);
    const StudyResult &blocks = outcome->results[0], &wholeClip = outcome->results[1];
    CHECK(*blocks.hitRate == doctest::Approx(1.0 / 3));
    CHECK(*blocks.flopEstimate == doctest::Approx(4 * (3e9 + 6e8) + 2e9 + 3e8));
    CHECK(!blocks.flop); // the scripted engine counts nothing
    CHECK(!wholeClip.hitRate);
    CHECK(*wholeClip.flopEstimate > 0);
    CHECK(wholeClip.blockPsnr == std::vector<double>{100, 100, 100});
    const auto again = runStudy(options, {});
    CHECK(again->results[1].blockPsnr == wholeClip.blockPsnr);
    CHECK(again->results[0].hitRate == blocks.hitRate);
}
