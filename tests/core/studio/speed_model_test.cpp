#include "core/studio/speed_model.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/base/files.h"
#include "core/studio/speed_measurement.h"
#include "core/studio/speed_stops.h"
#include "tests/support/temp_folder.h"

using namespace canopy;

namespace {

/// A machine that keeps to a law: 0.01 + 1e-4 N + 2e-8 N^2 seconds a branch of a dense step, sparse steps at
/// 0.8 of it for few tokens and 0.6 for many, 0.5 s and a microsecond a pixel for the rest.
SpeedSample sample(std::string_view stop, std::int64_t tokens, double factor = 1) {
    const double n = double(tokens);
    SpeedSample s;
    s.stop = stop;
    s.tokens = tokens;
    s.pixels = tokens * 256 * 4;
    s.steps = 6;
    s.denseSteps = stop == "dense" ? 6 : 1;
    const double step = 2 * (0.01 + 1e-4 * n + 2e-8 * n * n) * factor;
    s.denseStepSeconds = step;
    s.sparseStepSeconds = stop == "dense" ? 0 : (tokens < 1000 ? 0.8 : 0.6) * step;
    s.restSeconds = (0.5 + 1e-6 * double(s.pixels)) * factor;
    return s;
}

SpeedRecord record() {
    SpeedRecord r;
    r.key.modelId = "starter";
    r.key.machine = "a processor, 2 threads";
    r.samples = {sample("dense", 720),  sample("dense", 1440),   sample("dense", 2160),
                 sample("dense", 2160), sample("balanced", 720), sample("balanced", 2160)};
    r.likeness = {{"balanced", false, 24.5, 0.8, 2160, 6}};
    return r;
}

GenerationRequest clip(int frames, int steps) {
    GenerationRequest r;
    r.width = 320;
    r.height = 192;
    r.frames = frames;
    r.steps = steps;
    r.guidance = 4;
    return r;
}

double dense(const GenerationRequest& r) {
    const double n = double(videoTokens(r));
    return r.steps * 2 * (0.01 + 1e-4 * n + 2e-8 * n * n);
}

double rest(const GenerationRequest& r) {
    return 0.5 + 1e-6 * r.width * r.height * r.frames;
}

} // namespace

TEST_CASE("a machine that keeps to the law is predicted at sizes and steps that were not measured") {
    const auto model = SpeedModel::fit(record());
    REQUIRE(model.ok());
    for (const int frames : {13, 25, 29})
        for (const int steps : {4, 20}) {
            const auto r = clip(frames, steps);
            const auto p = model->predict(r, "dense");
            REQUIRE(p.has_value());
            // The law counts pixels of 4 frames a latent frame; the first latent frame has one.
            CHECK(p->seconds == doctest::Approx(dense(r) + rest(r)).epsilon(0.03));
            CHECK(p->low < p->seconds);
            CHECK(p->high > p->seconds);
        }
    // Between the measured sizes the saving is between the measured savings.
    const auto r = clip(21, 10);
    const auto p = model->predict(r, "balanced");
    REQUIRE(p.has_value());
    CHECK(p->seconds > 0.6 * dense(r));
    CHECK(p->seconds < 0.9 * dense(r) + rest(r));
    CHECK_FALSE(model->predict(r, "draft").has_value()); // never measured
    CHECK(model->attentionShare(2160) ==
          doctest::Approx(2e-8 * 2160 * 2160 / (0.01 + 0.216 + 0.0933)).epsilon(0.1));
}

TEST_CASE("an unsteady machine and sizes beyond the measured ones widen the interval") {
    const auto quiet = SpeedModel::fit(record());
    auto unsteady = record();
    for (std::size_t i = 0; i < unsteady.samples.size(); ++i) {
        const double factor = i % 2 == 0 ? 1.25 : 0.8;
        unsteady.samples[i] = sample(unsteady.samples[i].stop, unsteady.samples[i].tokens, factor);
    }
    const auto shaken = SpeedModel::fit(unsteady);
    REQUIRE((quiet.ok() && shaken.ok()));
    CHECK(shaken->relativeSpread() > 2 * quiet->relativeSpread());
    const auto width = [&](const GenerationRequest& r) {
        const auto p = *quiet->predict(r, "dense");
        return p.high / p.low;
    };
    auto large = clip(33, 10);
    large.width = 1280;
    large.height = 768;
    CHECK(width(large) > 1.1 * width(clip(33, 10)));
}

TEST_CASE("one dense size predicts nothing, in a sentence") {
    auto r = record();
    std::erase_if(r.samples, [](const SpeedSample& s) { return s.tokens != 2160; });
    const auto model = SpeedModel::fit(r);
    REQUIRE_FALSE(model.ok());
    CHECK(model.error().message.find("two sizes") != std::string::npos);
}

TEST_CASE("fitted coefficients are never negative") {
    // Falling times would ask for a negative slope.
    const auto x = fitRelative({{1, 1}, {1, 2}, {1, 3}}, {3, 2, 1});
    CHECK(x[0] > 0);
    CHECK(x[1] == 0);
    const auto exact = fitRelative({{1, 10}, {1, 20}, {1, 40}}, {7, 12, 22});
    CHECK(exact[0] == doctest::Approx(2));
    CHECK(exact[1] == doctest::Approx(0.5));
}

TEST_CASE("records are kept by model and machine, and damaged files are said") {
    test::TempFolder folder;
    const auto file = folder / "speed.json";
    CHECK(readSpeedRecords(file)->empty());
    auto first = record(), other = record();
    other.key.machine = "another";
    REQUIRE(storeSpeedRecord(file, first).ok());
    REQUIRE(storeSpeedRecord(file, other).ok());
    first.loadSeconds = 3;
    REQUIRE(storeSpeedRecord(file, first).ok());
    const auto read = readSpeedRecords(file);
    REQUIRE(read.ok());
    REQUIRE(read->size() == 2);
    CHECK((*read)[1] == first);
    REQUIRE(writeFileAtomically(file, std::string_view("{\"records\": [{\"version\": 1}]}")).ok());
    CHECK_FALSE(readSpeedRecords(file).ok());
    REQUIRE(storeSpeedRecord(file, first).ok()); // measuring again mends it
    CHECK(readSpeedRecords(file)->size() == 1);
}

TEST_CASE("stops are settings that can start, and settings find their stop") {
    for (const int steps : {1, 2, 4, 16, 50})
        for (const SpeedStop& stop : speedStops()) {
            const auto attention = attentionOf(stop.id, steps);
            CAPTURE(stop.id);
            CAPTURE(steps);
            CHECK(checkAttention(attention, 2160, steps).empty());
            CHECK(stopOf(attention, steps).has_value());
        }
    auto own = attentionOf("balanced", 16);
    own.tau = 0.87;
    CHECK_FALSE(stopOf(own, 16).has_value());
}

TEST_CASE("the plan measures every stop, and dense clips of three lengths") {
    ModelDefaults defaults;
    defaults.framesTrainedMin = 9;
    defaults.framesDefault = 33;
    defaults.sizes = {{320, 192}};
    const auto plan = speedPlan({}, defaults);
    for (const SpeedStop& stop : speedStops()) {
        const auto runs = std::count_if(plan.begin(), plan.end(), [&](auto& r) { return r.stop == stop.id; });
        CHECK(runs == (stop.id == "dense" ? 4 : 2));
    }
    for (const SpeedRun& run : plan) {
        CHECK(run.request.frames % 4 == 1);
        CHECK_FALSE(run.request.prompt.empty());
        if (run.denseRun >= 0)
            CHECK(plan[std::size_t(run.denseRun)].request.frames == run.request.frames);
    }
}
