// Grids, tables and reports of studies.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "core/base/value_codec.h"
#include "core/evaluation/study_report.h"
#include "core/job/attention_calibration.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using namespace canopy::evaluation;
using canopy::test::TempFolder;

namespace {

std::filesystem::path write(const std::filesystem::path& file, std::string_view text) {
    std::ofstream(file) << text;
    return file;
}

constexpr const char* kGrid = R"({"version":1,"title":"T <1>","prompts":"p.json","seeds":[1,2],
  "base":{"steps":4,"attention":{"stride":8}},"reference":"dense","arms":[
  {"name":"dense","settings":{}},
  {"name":"same","settings":{"attention":{"method":"xattention","tau":1}},"floor":true},
  {"name":"sparse","settings":{"steps":3,"attention":{"method":"xattention","tau":0.8,"warmup":0}},
   "against":"same"}]})";
constexpr const char* kPrompts = R"(["a boat",{"prompt":"a kite","drawn":"k.rgb","questions":[
  {"question":"What?","answer":"kite","options":["boat","kite"],"kind":"subject"}]}])";

StudyResult result(std::size_t prompt, std::size_t seed, std::size_t arm, double seconds, double psnr) {
    StudyResult r;
    r.prompt = prompt;
    r.seed = seed;
    r.arm = arm;
    r.denoiseSeconds = seconds;
    if (arm > 0) {
        r.psnr = psnr;
        r.ssim = psnr / 100;
        r.density = 0.25;
    }
    r.followed = Followed{arm == 2 ? 1 : 3, 4};
    r.summary.set("peak_bytes", 5);
    return r;
}

} // namespace

TEST_CASE("maps merge key by key, everything else is replaced") {
    const auto value = [](const char* json) { return *parseJson(json); };
    CHECK(merged(value(R"({"a":1,"b":{"c":2,"d":3},"e":[1]})"), value(R"({"b":{"d":4},"e":[2,3]})")) ==
          value(R"({"a":1,"b":{"c":2,"d":4},"e":[2,3]})"));
    CHECK(merged(value("{}"), Value()) == value("{}"));
}

TEST_CASE("a grid is read with its prompts; base, settings and overrides are merged in this order") {
    TempFolder folder;
    write(folder / "p.json", kPrompts);
    const auto file = write(folder / "grid.json", kGrid);
    const auto grid = readStudyGrid(file, *parseJson(R"({"device":"cuda","steps":7})"));
    REQUIRE_MESSAGE(grid.ok(), grid.error().message);
    REQUIRE(grid->prompts.size() == 2);
    CHECK(grid->prompts[1].drawn == folder / "k.rgb");
    CHECK(grid->prompts[1].questions.at(0).options.size() == 2);
    CHECK(grid->seeds == std::vector<std::uint64_t>{1, 2});
    CHECK(grid->reference == 0);
    REQUIRE(grid->arms.size() == 3);
    CHECK(grid->arms[1].isFloor);
    CHECK(grid->arms[2].request.steps == 7);
    CHECK(grid->arms[2].request.device == DeviceKind::Cuda);
    CHECK(grid->arms[2].request.attention.stride == 8);
    CHECK(grid->arms[2].request.attention.tau == 0.8);
    CHECK(readStudyGrid(file)->arms[2].request.steps == 3);
    const auto others = readStudyGrid(file, {}, write(folder / "others.txt", "a car\na bird\na star\n"));
    REQUIRE(others.ok());
    CHECK(others->prompts.size() == 3);
}

TEST_CASE("what is wrong with a grid is said with its place") {
    TempFolder folder;
    write(folder / "p.json", kPrompts);
    const auto refusal = [&](const std::string& from, const std::string& to) {
        std::string text = kGrid;
        const auto at = text.find(from);
        REQUIRE(at != std::string::npos);
        const auto read = readStudyGrid(write(folder / "bad.json", text.replace(at, from.size(), to)));
        REQUIRE(!read.ok());
        CHECK(read.error().message.find("bad.json") != std::string::npos);
        return read.error().message;
    };
    CHECK(refusal("\"tau\":0.8", "\"tua\":0.8")
              .find("no setting is called \"attention.tua\" (in the arm "
                    "\"sparse\")") != std::string::npos);
    CHECK(refusal("\"steps\":4", "\"stepps\":4").find("\"stepps\"") != std::string::npos);
    CHECK(refusal("\"steps\":4", "\"steps\":\"four\"").find("whole number") != std::string::npos);
    CHECK(refusal("\"reference\":\"dense\"", "\"reference\":\"x\"").find("names no arm") !=
          std::string::npos);
    CHECK(refusal("\"against\":\"same\"", "\"against\":\"x\"").find("which is no arm") != std::string::npos);
    CHECK(refusal("\"name\":\"same\"", "\"name\":\"dense\"").find("twice") != std::string::npos);
    CHECK(refusal("[1,2]", "[]").find("\"seeds\"") != std::string::npos);
    CHECK(refusal("\"floor\":true", "\"flor\":true").find("\"flor\"") != std::string::npos);
    CHECK(refusal("\"p.json\"", "[]").find("\"prompts\"") != std::string::npos);
    CHECK(refusal("\"version\":1", "\"version\":2").find("version") != std::string::npos);
    CHECK(refusal("\"p.json\"", R"([{"prompt":"x","questions":[{"question":"q"}]}])").find("prompt 1") !=
          std::string::npos);
    CHECK(refusal("\"tau\":0.8", "\"thresholds\":\"none.json\"").find("none.json") != std::string::npos);
    write(folder / "cut.json", std::string(kGrid).substr(0, 100));
    CHECK(!readStudyGrid(folder / "cut.json").ok());
}

TEST_CASE("thresholds of a calibration bring its host's parameters, and must fit the model") {
    TempFolder folder;
    AttentionCalibration c;
    c.modelId = "m";
    c.host.method = AttentionMethod::XAttention;
    c.host.stride = 16;
    c.host = withAttentionDefaults(c.host, 256, 4);
    c.width = 256;
    c.height = 256;
    c.frames = 1;
    c.tokens = 256;
    c.steps = 4;
    c.prompts = 1;
    c.procedure = CalibrationProcedure::Profile;
    CalibratedHead head;
    head.tau = 0.7;
    head.sample.steps.push_back(1);
    head.candidates.push_back({0.5, 0, {}});
    c.heads.push_back({head});
    REQUIRE(writeAttentionCalibration(c, folder / "t.json").ok());
    const auto file = write(folder / "grid.json", R"({"version":1,"prompts":["a"],"seeds":[1],
      "base":{"width":256,"height":256,"frames":1,"steps":4},"reference":"d","arms":[{"name":"d","settings":{}},
      {"name":"t","settings":{"attention":{"method":"xattention","thresholds":"t.json"}}}]})");
    auto grid = readStudyGrid(file);
    REQUIRE_MESSAGE(grid.ok(), grid.error().message);
    CHECK(grid->arms[1].request.attention.headTau == c.thresholds());
    ModelRecord model;
    model.id = "m";
    model.dit.layers = model.dit.heads = 1;
    CHECK(prepareStudy(*grid, model).empty());
    model.id = "other";
    REQUIRE(prepareStudy(*grid, model).size() == 1);
    CHECK(prepareStudy(*grid, model)[0].find("The arm \"t\" cannot run") == 0);
    grid->arms[1].request.frames = 5;
    model.id = "m";
    CHECK(prepareStudy(*grid, model).size() == 2); // thresholds of another size, clips of another length
}

TEST_CASE("the table pairs arms on the same prompts and seeds") {
    TempFolder folder;
    write(folder / "p.json", kPrompts);
    const auto grid = readStudyGrid(write(folder / "grid.json", kGrid));
    REQUIRE(grid.ok());
    std::vector<StudyResult> results;
    for (std::size_t prompt = 0; prompt < 2; ++prompt)
        for (std::size_t seed = 0; seed < 2; ++seed) {
            const double slow = prompt == 0 ? 1 : 3; // the machine, not the arm
            results.push_back(result(prompt, seed, 0, 4 * slow, 0));
            results.push_back(result(prompt, seed, 1, 4 * slow, 40));
            results.push_back(result(prompt, seed, 2, 2 * slow, 30 + static_cast<double>(prompt)));
        }
    StudyResult again = result(0, 0, 2, 2.2, 30.0);
    again.repeat = 1;
    results.push_back(again);
    const auto table = studyTable(*grid, results);
    REQUIRE(table.size() == 3);
    CHECK(!table[0].speedUp);
    CHECK(!table[0].psnr);
    CHECK(table[1].speedUp->mean == doctest::Approx(1));
    CHECK(table[2].clips == 4);
    // 2.1 s for one of the four, the median of its repeats.
    CHECK(table[2].speedUp->mean == doctest::Approx(2 * std::pow(2 / 2.1, 0.25)));
    CHECK(table[2].speedUp->low < table[2].speedUp->mean);
    CHECK(table[2].psnr->mean == doctest::Approx(30.5));
    CHECK(table[2].psnrGain->mean == doctest::Approx(-9.5));
    CHECK(table[2].psnrGain->low == doctest::Approx(-10));
    CHECK(table[2].psnrGain->high == doctest::Approx(-9));
    CHECK(table[2].followed->mean == doctest::Approx(0.25));
    CHECK(table[2].followedGain->mean == doctest::Approx(-0.5));
    CHECK(*table[2].density == 0.25);

    const StudyHead head{"T <1>", "Starter", "id", "QA", "cpu", 64, 48, 9, 4, 2, 2, 1, {7, 8}, "0.1"};
    const std::string html = studyHtml(head, table, {});
    CHECK(html.find("T &lt;1&gt;") != std::string::npos);
    CHECK(html.find("<svg") != std::string::npos);
    CHECK(html.find("http") == std::string::npos);
    CHECK(html.find("7 of 8 (87.5 %)") != std::string::npos);
    CHECK(html.find("nan") == std::string::npos);
    const std::string clips = studyClipsCsv(*grid, results);
    CHECK(std::count(clips.begin(), clips.end(), '\n') == 14);
    CHECK(clips.find("\"summary.peak_bytes\"") != std::string::npos);
    const std::string rows = studyTableCsv(table);
    const auto header =
        std::count(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(rows.find('\n')), ',');
    const auto lastLine = rows.substr(rows.rfind('\n', rows.size() - 2) + 1);
    CHECK(std::count(lastLine.begin(), lastLine.end(), ',') == header);
}

TEST_CASE("families are compared at equal fidelity") {
    StudyGrid grid;
    std::vector<StudyResult> results;
    const auto add = [&](const char* family, double seconds, double psnr, double flop) {
        StudyArm arm;
        arm.name = std::to_string(grid.arms.size());
        arm.family = family;
        StudyResult r = result(0, 0, grid.arms.size(), seconds, psnr);
        r.flop = flop;
        r.flopEstimate = flop * 1.01;
        r.hitRate = 0.5;
        r.blockPsnr = {psnr, psnr - 1};
        grid.arms.push_back(arm);
        results.push_back(r);
    };
    add("", 16, 100, 32e12);
    add("slow", 8, 20, 16e12);
    add("slow", 16, 30, 16e12);
    add("fast", 4, 30, 8e12);
    add("fast", 2, 20, 8e12);
    add("fast", 1, 10, 8e12);
    add("alone", 1, 25, 1e12);
    add("far", 1, 50, 1e12);
    add("far", 2, 60, 1e12);
    const auto table = studyTable(grid, results);
    CHECK(*table[1].flopSaved == doctest::Approx(0.5));
    CHECK(*table[1].hitRate == 0.5);
    CHECK(table[1].blockPsnr == std::vector<double>{20, 19});
    const auto matched = matchedFidelity(grid, results);
    REQUIRE(matched.size() == 1); // the others share no dB with any
    CHECK(matched[0].family == "slow");
    CHECK(matched[0].psnrLow == 20);
    CHECK(matched[0].psnrHigh == 30);
    CHECK(matched[0].fasterBy == doctest::Approx(0.25));
    CHECK(*matched[0].flopRatio == doctest::Approx(0.5));
    CHECK(matched[0].clips == 1);
    StudyResult more = result(1, 0, 1, 80, 20); // of a prompt that the other arms lack
    results.push_back(more);
    CHECK(matchedFidelity(grid, results)[0].fasterBy == doctest::Approx(0.25));
    const std::string html = studyHtml({}, table, matched);
    CHECK(html.find("slow takes 4.000 times the seconds and 2.000 times") != std::string::npos);
    CHECK(html.find("16.16 (+1.0 %)") != std::string::npos);
    CHECK(html.find("20.0 19.0") != std::string::npos);
    CHECK(html.find("Faster by") == std::string::npos); // a column of which no row says anything
}

TEST_CASE("intervals hold the mean of many draws about as often as they say") {
    std::uint64_t state = 7;
    const auto uniform = [&state] { // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return static_cast<double>((state * 0x2545F4914F6CDD1DULL) >> 11) / 9007199254740992.0;
    };
    int held = 0;
    for (int trial = 0; trial < 100; ++trial) {
        std::vector<std::vector<double>> groups;
        for (int prompt = 0; prompt < 24; ++prompt)
            groups.push_back({uniform()});
        const Interval interval = bootstrapInterval(groups);
        CHECK(interval.low <= interval.mean);
        CHECK(interval.mean <= interval.high);
        held += interval.low <= 0.5 && 0.5 <= interval.high;
    }
    CHECK(held >= 85);
    CHECK(held <= 99);
    const Interval one = bootstrapInterval({{2, 4}});
    CHECK(one.mean == 3);
    CHECK(one.low == 3);
    CHECK(one.high == 3);
}
