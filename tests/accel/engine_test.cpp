// The engine as the worker uses it, with the shipped starter: cancel at random moments, repeatability,
// refusals.

#include "accel/engine/accel_engine.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "core/base/clock.h"
#include "core/formats/model_scan.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

/// Resident size of this process in bytes.
std::uint64_t residentBytes() {
    std::ifstream statm("/proc/self/statm");
    std::uint64_t total = 0, resident = 0;
    statm >> total >> resident;
    return resident * 4096;
}

class Frames final : public JobObserver {
public:
    bool wants(std::string_view) const override { return true; }
    void resolved(const GenerationRequest&, const MemoryPlan&) override {}
    void stage(std::string_view, int, int) override {}
    void block(int, int) override { ++blocks; }
    void timing(std::string_view, int, double) override {}
    void preview(int, int, int, int, std::vector<std::uint8_t>) override { ++previews; }
    void latents(std::vector<std::uint8_t>) override {}
    void frame(int, int, int, int, std::vector<std::uint8_t> rgb) override {
        pixels.insert(pixels.end(), rgb.begin(), rgb.end());
    }
    int blocks = 0;
    int previews = 0;
    std::vector<std::uint8_t> pixels;
};

ModelRecord starter() {
    const char* source = std::getenv("CANOPY_SOURCE_DIR");
    const auto model =
        scanModel(std::filesystem::path(source ? source : ".") / "resources/models/starter-video");
    REQUIRE_MESSAGE(model.ok(), model.error().message);
    return *model;
}

GenerationRequest smallRequest(const ModelRecord& model) {
    GenerationRequest request;
    request.prompt = "a red balloon rises slowly over the sea at sunset";
    request.modelId = model.id;
    request.seed = 7;
    request.frames = 17;
    request.steps = 4;
    return request;
}

} // namespace

TEST_CASE("cancelled at 20 random moments, the engine stops soon and the next job is right") {
    const auto engine = makeEngine();
    const auto model = starter();
    const auto request = smallRequest(model);
    Frames first;
    double start = steadySeconds();
    REQUIRE(engine->generate(request, model, first, {}).ok());
    const double whole = steadySeconds() - start;
    CHECK(first.previews == request.steps);
    const auto settled = residentBytes();

    std::mt19937 random(1);
    double worst = 0;
    int cancelled = 0;
    for (int i = 0; i < 20; ++i) {
        std::stop_source source;
        std::atomic<double> asked = 0;
        const double delay = std::uniform_real_distribution<>(0, whole)(random);
        std::thread canceller([&] {
            std::this_thread::sleep_for(std::chrono::duration<double>(delay));
            asked = steadySeconds();
            source.request_stop();
        });
        Frames frames;
        const auto result = engine->generate(request, model, frames, source.get_token());
        const double ended = steadySeconds();
        canceller.join();
        if (result.ok())
            continue; // it was faster this time
        ++cancelled;
        CHECK(result.error().code == ErrorCode::Cancelled);
        worst = std::max(worst, ended - asked);
    }
    MESSAGE(cancelled, " of 20 cancelled; longest from asking to stopped ", worst * 1000, " ms (whole job ",
            whole, " s)");
    CHECK(cancelled > 0);
    const auto afterwards = residentBytes();
    MESSAGE("resident after a finished job ", settled / 1'000'000, " MB, after the cancelled ones ",
            afterwards / 1'000'000, " MB");
    CHECK(afterwards < settled + 32'000'000); // a job's own memory, about 150 MB, does not stay
    CHECK(worst < 10);                        // against a hang; the figure above is what counts
    Frames again;
    REQUIRE(engine->generate(request, model, again, {}).ok());
    CHECK(again.pixels == first.pixels);
}

TEST_CASE("the resolved request repeats the job, also in a fresh engine and with other threads") {
    const auto model = starter();
    Frames first;
    auto summary = makeEngine()->generate(smallRequest(model), model, first, {});
    REQUIRE(summary.ok());
    CHECK(summary->request.precision != Precision::Auto);
    CHECK(summary->request.threads > 0);
    CHECK(!summary->request.kernelSet.empty());
    Frames again;
    auto repeated = summary->request;
    repeated.threads = 1;
    REQUIRE(makeEngine()->generate(repeated, model, again, {}).ok());
    CHECK(again.pixels == first.pixels);
}

TEST_CASE("what cannot run is refused before anything starts, with numbers") {
    const auto engine = makeEngine();
    const auto model = starter();
    Frames frames;
    auto request = smallRequest(model);
    request.memoryBudgetGb = 0.1;
    auto refused = engine->generate(request, model, frames, {});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ErrorCode::OutOfMemory);
    CHECK(refused.error().message.find("the budget is 0.1 GB") != std::string::npos);
    request = smallRequest(model);
    request.frames = 18;
    CHECK(engine->generate(request, model, frames, {}).error().code == ErrorCode::InvalidArgument);
    auto incomplete = model;
    incomplete.missing = {"The autoencoder is missing."};
    CHECK_FALSE(engine->generate(smallRequest(model), incomplete, frames, {}).ok());
    CHECK(frames.blocks == 0);
}
