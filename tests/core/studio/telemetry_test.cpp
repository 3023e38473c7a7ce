// Telemetry of a clip: gathered, bounded, written to a session file and read back without an engine.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/base/value_codec.h"
#include "core/studio/attention_account.h"
#include "core/studio/run_telemetry.h"
#include "core/studio/telemetry_export.h"
#include "tests/support/fake_chunks.h"
#include "tests/support/temp_folder.h"

using namespace canopy;

namespace {

AttentionStep stepOf(int step, int chosenAt) {
    AttentionRecord record{step, 0, GuidanceBranch::Prompt, AttentionRecord::Mode::Sparse, {}, 0.01, 0.1};
    record.heads = {{0.5, chosenAt == step ? RefreshReason::Drift : RefreshReason::Reused, 1, 0.1, chosenAt}};
    return {step, 10, 0.5, {record}};
}

std::vector<std::uint8_t> maskOf(int step, int blocks, int kept) {
    BlockBitmap map = emptyBitmap(blocks);
    map.step = step;
    map.keep(0, kept);
    return toCbor(toValue(std::vector{map}));
}

TelemetryLog someRun() {
    TelemetryLog log;
    log.begin(7);
    GenerationRequest request;
    request.prompt = "a balloon";
    request.width = 64;
    request.height = 32;
    request.frames = 9;
    log.resolved(request);
    const int chosenAt[] = {0, 0, 2, 2};
    for (int s = 0; s < 4; ++s) {
        log.step(toValue(stepOf(s, chosenAt[s])));
        log.masks(maskOf(s, 9, chosenAt[s]));
    }
    auto preview = std::make_shared<PreviewImage>();
    *preview = {7, 4, 2, 1, 1, {1, 2, 3, 4, 5, 6}};
    log.preview(preview);
    log.ended();
    return log;
}

} // namespace

TEST_CASE("a run is looked up by step, layer and branch; the mask before is that of the earlier choice") {
    TelemetryLog log = someRun();
    const auto run = log.current();
    CHECK(run == log.current()); // nothing changed, no copy
    CHECK(run->stepCount() == 10);
    CHECK(run->missingSteps() == 0);
    REQUIRE(run->call(3, 0, GuidanceBranch::Prompt));
    CHECK(!run->call(3, 0, GuidanceBranch::Negative));
    CHECK(!run->call(3, 1, GuidanceBranch::Prompt));
    REQUIRE(run->mask(3, 0, 0, GuidanceBranch::Prompt));
    CHECK(run->mask(3, 0, 0, GuidanceBranch::Prompt)->kept(0, 2));
    const auto* before = run->maskBefore(3, 0, 0, GuidanceBranch::Prompt);
    REQUIRE(before);
    CHECK(before->step == 1);
    CHECK(before->kept(0, 0));
    CHECK(!run->maskBefore(1, 0, 0, GuidanceBranch::Prompt)); // the first choice has none

    log.step(toValue(stepOf(6, 2)));
    CHECK(log.current()->missingSteps() == 2);
    log.step(toValue(stepOf(5, 2))); // out of order
    log.step(Value{});
    log.masks({1, 2, 3});
    CHECK(log.current()->unreadable == 3);
    CHECK(log.current()->steps.size() == 5);
}

TEST_CASE("masks stay within their memory, the oldest go first and are counted") {
    TelemetryLog log;
    log.begin(1);
    constexpr int kBlocks = 8192; // 8 MiB each
    for (int s = 0; s < 12; ++s)
        log.masks(maskOf(s, kBlocks, 1));
    const auto run = log.current();
    CHECK(run->masksDropped > 0);
    CHECK(run->masks.size() + run->masksDropped == 12);
    std::size_t bytes = 0;
    for (const auto& masks : run->masks)
        bytes += masks->front().bits.size();
    CHECK(bytes <= TelemetryLog::kMostMaskBytes);
    CHECK(run->mask(11, 0, 0, GuidanceBranch::Prompt));
    CHECK(!run->mask(0, 0, 0, GuidanceBranch::Prompt));
}

TEST_CASE("a saved run is read back whole, is never overwritten, and other files are refused in words") {
    const test::TempFolder folder;
    const auto file = folder.path() / "run.canopy";
    TelemetryLog log = someRun();
    const auto run = log.current();
    REQUIRE(saveTelemetry(*run, file).ok());
    CHECK(!saveTelemetry(*run, file).ok());
    const auto read = readTelemetry(file);
    REQUIRE_MESSAGE(read.ok(), read.error().message);
    REQUIRE(read->size() == 1);
    const RunTelemetry& back = *read->front();
    CHECK(back.job == 7);
    CHECK(back.ended);
    REQUIRE(back.request);
    CHECK(back.request->prompt == "a balloon");
    REQUIRE(back.steps.size() == run->steps.size());
    for (std::size_t i = 0; i < back.steps.size(); ++i)
        CHECK(*back.steps[i] == *run->steps[i]);
    CHECK(back.masks.size() == run->masks.size());
    REQUIRE(back.preview);
    CHECK(back.preview->rgb == run->preview->rgb);

    // Cut anywhere, it gives what is whole or a sentence.
    const auto size = std::filesystem::file_size(file);
    for (std::uintmax_t length = 0; length < size; length += 37) {
        const auto cut = folder.path() / "cut.canopy";
        std::filesystem::copy_file(file, cut, std::filesystem::copy_options::overwrite_existing);
        std::filesystem::resize_file(cut, length);
        const auto some = readTelemetry(cut);
        if (!some)
            CHECK(!some.error().message.empty());
    }
    std::ofstream(folder.path() / "text.canopy") << "hello";
    CHECK(!readTelemetry(folder.path() / "text.canopy").ok());
    CHECK(!readTelemetry(folder.path() / "missing.canopy").ok());
}

TEST_CASE("chunks of a recording are put together again, live parts and a saved run alike") {
    const test::TempFolder folder;
    GenerationRequest request;
    request.frames = 33;
    request.steps = 6;
    const ChunkRecord whole = test::fakeChunkRecord(request);
    TelemetryLog log;
    log.begin(3);
    for (int row = 0; row < whole.run->rows; ++row)
        log.chunks(test::fakeChunkPart(request, row));
    log.ended();
    REQUIRE(log.current()->chunks);
    CHECK(*log.current()->chunks == whole);
    CHECK(log.current()->isEmpty()); // of attention

    const auto file = folder.path() / "chunks.canopy";
    REQUIRE(saveTelemetry(*log.current(), file).ok());
    const auto read = readTelemetry(file);
    REQUIRE_MESSAGE(read.ok(), read.error().message);
    REQUIRE(read->size() == 1);
    REQUIRE(read->front()->chunks);
    CHECK(*read->front()->chunks == whole);
}

TEST_CASE("the account sums to the measured time and follows the model from its own measurements") {
    TelemetryLog log;
    log.begin(1);
    const auto call = [](int step, bool dense, double choosing, double attention) {
        AttentionRecord r{step,     0,        GuidanceBranch::Prompt, AttentionRecord::Mode::Warmup, {},
                          choosing, attention};
        r.headCount = 1;
        if (!dense) {
            r.mode = AttentionRecord::Mode::Sparse;
            r.heads = {{0.3, step == 1 ? RefreshReason::First : RefreshReason::Reused, 0, 0, 1}};
        }
        return r;
    };
    log.step(toValue(AttentionStep{0, 4, 10, {call(0, true, 0, 7)}}));
    CHECK(!accountOf(*log.current()).dense); // no sparse step yet
    log.step(toValue(AttentionStep{1, 4, 6.5, {call(1, false, 0.5, 3)}}));
    log.step(toValue(AttentionStep{2, 4, 6.5, {call(2, false, 0.5, 3)}}));
    const AttentionAccount account = accountOf(*log.current());
    CHECK(account.measured == doctest::Approx(23));
    CHECK(account.reusedShare == doctest::Approx(0.5));
    REQUIRE(account.dense);
    const auto& d = *account.dense;
    CHECK(d.denseSeconds == doctest::Approx(30));
    CHECK(d.skipped == doctest::Approx(8));
    CHECK(d.choosing == doctest::Approx(1));
    CHECK(d.rest == doctest::Approx(0));
    CHECK(d.denseSeconds - d.skipped + d.choosing + d.rest == doctest::Approx(account.measured));
    CHECK(d.efficiency == doctest::Approx(0.7)); // 0.3 of the pairs in 3/7 of the time
    CHECK(d.modelFactor == doctest::Approx(30.0 / 23));
    CHECK(d.measuredFactor == doctest::Approx(30.0 / 23));
    // The published example of the model.
    CHECK(speedupModel(0.73, 0, 0.3, 0.85, 0.02) == doctest::Approx(1.84).epsilon(0.01));
}

TEST_CASE("the export names every head of every step") {
    TelemetryLog log = someRun();
    const std::string csv = telemetryCsv(*log.current());
    CHECK(std::count(csv.begin(), csv.end(), '\n') == 5);
    CHECK(csv.find("2,prompt,0,0,sparse,0.5,drift,1.0,0.1,2\n") != std::string::npos);
    const auto npz = telemetryNpz(*log.current());
    REQUIRE_MESSAGE(npz.ok(), npz.error().message);
    const std::string bytes(npz->begin(), npz->end());
    for (const char* name : {"kept.npy", "reason.npy", "step_seconds.npy", "mask_s3_prompt_l0_h0.npy"})
        CHECK(bytes.find(name) != std::string::npos);
}
