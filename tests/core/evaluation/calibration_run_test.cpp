// A calibration from end to end on a scripted engine: stopped, resumed, refused; and the thresholds that
// measurements give.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "core/evaluation/calibration_run.h"
#include "core/evaluation/prompt_set.h"
#include "tests/support/small_model.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using namespace canopy::evaluation;
using canopy::test::TempFolder;

namespace {

CalibrationRunOptions optionsIn(const TempFolder& folder) {
    CalibrationRunOptions o;
    o.model = test::smallModel();
    o.model.dit.heads = 3;
    o.request.prompts = {"one", "two"};
    o.request.clip.width = 256;
    o.request.clip.height = 256;
    o.request.clip.frames = 9;
    o.request.clip.steps = 20;
    o.request.clip.seed = 3;
    o.request.clip.attention.method = AttentionMethod::XAttention;
    o.request = withModelDefaults(o.request, o.model.defaults);
    o.journal = folder / "measured.jsonl";
    const char* bin = std::getenv("CANOPY_BIN_DIR");
    o.worker.executable = std::filesystem::path(bin ? bin : "build/bin") / "canopy-fake-worker";
    o.worker.environment = {"CANOPY_FAKE_BLOCK_MS=1"};
    return o;
}

int linesOf(const std::filesystem::path& file) {
    std::ifstream in(file);
    int lines = 0;
    for (std::string line; std::getline(in, line);)
        ++lines;
    return lines;
}

} // namespace

TEST_CASE("samples: prompts dealt evenly, one step of each interval, none of the dense ones") {
    const auto samples = calibrationSamples(30, 12, 10, 50, 5, 1);
    std::vector<int> perPrompt(10, 0);
    std::vector<bool> seen(50, false);
    for (const auto& layer : samples)
        for (const HeadSample& sample : layer) {
            ++perPrompt.at(static_cast<std::size_t>(sample.prompt));
            REQUIRE(sample.steps.size() == 4);
            const int first[] = {5, 12, 25, 37}, end[] = {12, 25, 37, 50};
            for (std::size_t i = 0; i < 4; ++i) {
                CHECK(sample.steps[i] >= first[i]);
                CHECK(sample.steps[i] < end[i]);
                seen[static_cast<std::size_t>(sample.steps[i])] = true;
            }
        }
    CHECK(perPrompt == std::vector<int>(10, 36));
    CHECK(std::count(seen.begin(), seen.end(), true) == 45);
    CHECK(calibrationSamples(30, 12, 10, 50, 5, 1) == samples);
    CHECK(calibrationSamples(30, 12, 10, 50, 5, 2) != samples);
    CHECK(calibrationSamples(1, 1, 1, 3, 2, 1)[0][0].steps == std::vector<int>{2});
}

TEST_CASE("thresholds from measurements: means over samples, the shared threshold's sparsity as budget") {
    const TempFolder folder;
    const auto options = optionsIn(folder);
    const auto samples = calibrationSamples(2, 3, 2, 20, 2, 3);
    std::vector<HeadMeasurement> measured;
    for (int layer = 0; layer < 2; ++layer)
        for (int head = 0; head < 3; ++head) {
            double x = 0;
            for (const int step :
                 samples[static_cast<std::size_t>(layer)][static_cast<std::size_t>(head)].steps) {
                // Layer 0 hardly minds sparsity, layer 1 does.
                const double price = layer == 0 ? 0.001 : 1;
                HeadMeasurement m{layer, head, step, 0, {0.7 + x, 0.6 + x, 0.5 + x}, {}};
                for (const double e : {0.3, 0.2, 0.1})
                    m.bandError.push_back({price * e, price * e, price * e, 0});
                measured.push_back(m);
                x += 0.02;
            }
        }
    auto c = calibrationFrom(options.request, options.model, measured);
    REQUIRE_MESSAGE(c.ok(), c.error().message);
    CHECK(c->budget == doctest::Approx(0.63));
    CHECK(c->predictedSparsity() == doctest::Approx(0.63));
    CHECK(c->thresholds() == std::vector<std::vector<double>>{{0.85, 0.85, 0.85}, {0.95, 0.95, 0.95}});
    CHECK(c->heads[1][0].candidates[0].error == doctest::Approx(0.3 * (1 + 0.5 + 0.01)));
    CHECK(c->host.warmup == 2);
    CHECK(attentionCalibrationFromValue(toValue(*c)).ok());
    measured.pop_back();
    CHECK(!calibrationFrom(options.request, options.model, measured).ok());
}

TEST_CASE("stopped and resumed, a calibration gives what it gives in one go; nothing measured is lost") {
    const TempFolder folder;
    auto once = runCalibration(optionsIn(folder), {});
    REQUIRE_MESSAGE(once.ok(), once.error().message);
    CHECK(linesOf(folder / "measured.jsonl") == 1 + 2 * 3 * 4);

    const TempFolder other;
    std::stop_source stop;
    auto options = optionsIn(other);
    options.progress = [&](const CalibrationProgress& p) {
        if (p.measured >= 5)
            stop.request_stop();
    };
    const auto stopped = runCalibration(options, stop.get_token());
    REQUIRE(!stopped.ok());
    CHECK(stopped.error().code == ErrorCode::Cancelled);
    CHECK(stopped.error().message.find("--resume") != std::string::npos);
    const int kept = linesOf(options.journal);
    CHECK(kept > 5);
    CHECK(kept < 1 + 2 * 3 * 4);

    options.progress = {};
    const auto inTheWay = runCalibration(options, {});
    REQUIRE(!inTheWay.ok());
    CHECK(inTheWay.error().message.find("--resume") != std::string::npos);
    options.resume = true;
    auto changed = options;
    changed.request.clip.steps = 21;
    CHECK(!runCalibration(changed, {}).ok());
    const auto resumed = runCalibration(options, {});
    REQUIRE_MESSAGE(resumed.ok(), resumed.error().message);
    CHECK(*resumed == *once);
}

TEST_CASE("the check clip says what is realised, with the thresholds and with the shared one") {
    const TempFolder folder;
    auto options = optionsIn(folder);
    options.checkPrompt = "three";
    const auto c = runCalibration(options, {});
    REQUIRE_MESSAGE(c.ok(), c.error().message);
    // The scripted engine keeps the threshold's square.
    CHECK(*c->realisedSharedSparsity == doctest::Approx(1 - 0.81));
    double sum = 0;
    for (const auto& layer : c->heads)
        for (const CalibratedHead& head : layer) {
            CHECK(*head.realisedSparsity == doctest::Approx(1 - head.tau * head.tau));
            sum += *head.realisedSparsity;
        }
    CHECK(*c->realisedSparsity == doctest::Approx(sum / 6));
    CHECK(linesOf(options.journal) == 1 + 2 * 3 * 4 + 2);
}

TEST_CASE("a worker that dies while it measures leaves the journal, and the same command goes on") {
    const TempFolder folder;
    auto options = optionsIn(folder);
    options.worker.environment.push_back("CANOPY_FAULT=point=head,n=9,do=exit=3");
    const auto died = runCalibration(options, {});
    REQUIRE(!died.ok());
    CHECK(linesOf(options.journal) >= 8);
    options.worker.environment.pop_back();
    options.resume = true;
    const auto resumed = runCalibration(options, {});
    REQUIRE_MESSAGE(resumed.ok(), resumed.error().message);
}

TEST_CASE("the profile takes the thresholds that were found") {
    const TempFolder folder;
    auto options = optionsIn(folder);
    options.request.procedure = CalibrationProcedure::Profile;
    const auto c = runCalibration(options, {});
    REQUIRE_MESSAGE(c.ok(), c.error().message);
    CHECK(c->heads[1][2].tau == doctest::Approx(0.82));
    CHECK(c->predictedSparsity() == doctest::Approx(0.6));
    CHECK(c->grid.empty());
}

TEST_CASE("prompt files: one a line, comments and empty lines skipped, none refused") {
    const TempFolder folder;
    std::ofstream(folder / "p.txt") << "# a comment\n\n a boat \r\na kite\n";
    const auto prompts = readPromptSet(folder / "p.txt");
    REQUIRE(prompts.ok());
    CHECK(*prompts == std::vector<std::string>{" a boat", "a kite"});
    std::ofstream(folder / "empty.txt") << "# nothing\n";
    CHECK(!readPromptSet(folder / "empty.txt").ok());
    CHECK(!readPromptSet(folder / "none.txt").ok());
}
