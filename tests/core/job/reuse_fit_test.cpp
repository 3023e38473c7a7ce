#include "core/job/reuse_fit.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/reuse_calibration.h"
#include "core/job/own_reuse.h"
#include "tests/support/temp_folder.h"

using namespace canopy;

namespace {

/// SkyReels-V2 1.3B's published one, over changes of the size that occur.
constexpr std::array<double, 5> kPublished = {-5.21862437e4, 9.23041404e3, -5.28275948e2, 1.36987616e1,
                                              -4.99875664e-2};

double valueAt(const std::array<double, 5>& p, double x) {
    double y = 0;
    for (const double c : p)
        y = y * x + c;
    return y;
}

ReuseCalibration calibration() {
    ReuseCalibration c;
    c.modelId = "skyreels-df-1";
    c.modelLabel = "Small";
    c.polynomial = kPublished;
    c.residual = 0.01;
    c.prompts = 8;
    c.steps = 40;
    c.presets = {{0.4, 0.375, 0.12}};
    return c;
}

} // namespace

TEST_CASE("a polynomial is found again from its own values") {
    std::vector<ChangeSample> samples;
    for (int i = 0; i < 40; ++i) {
        const double x = 0.004 + 0.002 * i;
        samples.push_back({x, valueAt(kPublished, x)});
    }
    const auto fit = fitReuse(samples);
    REQUIRE(fit.ok());
    for (std::size_t i = 0; i < kPublished.size(); ++i)
        CHECK(fit->polynomial[i] == doctest::Approx(kPublished[i]).epsilon(1e-6));
    CHECK(fit->residual < 1e-9);
    CHECK(fit->largestTimeChange == doctest::Approx(0.082));
}

TEST_CASE("scatter around it becomes the residual") {
    std::vector<ChangeSample> samples;
    for (int i = 0; i < 40; ++i)
        for (const double off : {-0.02, 0.02}) {
            const double x = 0.001 * (i + 1);
            samples.push_back({x, 0.1 + 3 * x + off});
        }
    const auto fit = fitReuse(samples);
    REQUIRE(fit.ok());
    CHECK(fit->residual == doctest::Approx(0.02));
    CHECK(fit->meanChange == doctest::Approx(0.1 + 3 * 0.0205));
    CHECK(valueAt(fit->polynomial, 0.02) == doctest::Approx(0.16));
}

TEST_CASE("too few different steps are refused") {
    std::vector<ChangeSample> samples;
    for (int i = 0; i < 40; ++i)
        samples.push_back({0.01 * (i % 4 + 1), 0.1});
    const auto fit = fitReuse(samples);
    REQUIRE_FALSE(fit.ok());
    CHECK(fit.error().message.find("4 different changes") != std::string::npos);
    CHECK_FALSE(fitReuse({}).ok());
}

TEST_CASE("changes of time come from a run's sums, and samples have both changes") {
    ChunkRun run;
    run.staticSums = {0, 0.1, 0.25, 0.45, 0}; // the last step is always computed
    const auto times = timeChanges(run);
    REQUIRE(times.size() == 5);
    const double expected[] = {0, 0.1, 0.15, 0.2, 0};
    for (std::size_t k = 0; k < 5; ++k)
        CHECK(times[k] == doctest::Approx(expected[k]));

    ChunkRecord record;
    record.rows.resize(1);
    for (int step = 0; step < 5; ++step) {
        ChunkStepRecord one;
        one.step = step;
        if (step != 2)
            one.change = 0.5 + step;
        record.rows[0].chunks.push_back(one);
    }
    CHECK(changeSamples(record, times) == std::vector<ChangeSample>{{times[1], 1.5}, {times[3], 3.5}});
}

TEST_CASE("a calibration survives its file, and another model's or a damaged one is refused") {
    test::TempFolder folder;
    const auto file = folder / "reuse.json";
    REQUIRE(writeFileAtomically(file, toJson(toValue(calibration()), 1)).ok());
    const auto read = readReuseCalibration(file, "skyreels-df-1");
    REQUIRE_MESSAGE(read.ok(), (read ? "" : read.error().message));
    CHECK(*read == calibration());
    const auto other = readReuseCalibration(file, "skyreels-df-2");
    REQUIRE_FALSE(other.ok());
    CHECK(other.error().code == ErrorCode::Mismatch);

    const auto refuses = [](const char* key, Value value) {
        Value v = toValue(calibration());
        v.set(key, std::move(value));
        return !reuseCalibrationFromValue(v).ok();
    };
    CHECK(refuses("version", 2));
    CHECK(refuses("polynomial", Value::Array{1, 2, 3, 4}));
    CHECK(refuses("polynomial", Value::Array{1, 2, 3, 4, "5"}));
    CHECK(refuses("residual", -1.0));
    CHECK(refuses("residual", Value()));
    CHECK(refuses("presets", Value::Array{Value(0.4)}));
}

TEST_CASE("the calibration beside a model's weights is taken by requests that judge by time") {
    test::TempFolder folder;
    ModelRecord model;
    model.id = "skyreels-df-1";
    model.root = folder.path();
    GenerationRequest r;
    r.chunks.mode = SamplingMode::Chunked;
    r.chunks.cache = ReuseMethod::FlowCache;
    const auto taken = [&] {
        GenerationRequest copy = r;
        REQUIRE(takeReuseCalibration(copy, model).ok());
        return copy.chunks.rescale;
    };
    const std::vector<double> published(kPublished.begin(), kPublished.end());
    CHECK(taken().empty()); // no file
    REQUIRE(writeFileAtomically(folder / kReuseCalibrationFile, toJson(toValue(calibration()))).ok());
    CHECK(taken() == published);
    r.chunks.feature = ReuseFeature::Latent;
    CHECK(taken().empty());
    r.chunks.cache = ReuseMethod::TeaCache;
    CHECK(taken() == published);
    r.chunks.rescale = {0, 0, 0, 1, 0};
    CHECK(taken() == r.chunks.rescale);
    r.chunks.rescale.clear();
    model.id = "skyreels-df-2";
    CHECK_FALSE(takeReuseCalibration(r, model).ok());
}

TEST_CASE("reuse by time is refused in words where nothing is known of the model") {
    GenerationRequest r;
    ModelDefaults model;
    r.chunks.mode = SamplingMode::Chunked;
    CHECK(reuseProblem(r, model).empty());
    r.chunks.cache = ReuseMethod::FlowCache;
    r.chunks.feature = ReuseFeature::Latent;
    CHECK(reuseProblem(r, model).empty());
    r.chunks.feature = ReuseFeature::Time;
    CHECK(reuseProblem(r, model).find("calibrate --cache") != std::string::npos);
    r.chunks.cache = ReuseMethod::TeaCache;
    CHECK_FALSE(reuseProblem(r, model).empty());
    model.label = "SkyReels-V2 DF 1.3B 540P";
    CHECK(reuseProblem(r, model).empty());
    model.label.clear();
    r.chunks.rescale = {0, 0, 0, 1, 0};
    CHECK(reuseProblem(r, model).empty());
}
