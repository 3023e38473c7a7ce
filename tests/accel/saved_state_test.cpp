// What is saved between two rows is all there is: with the shipped starter, block by block, and for a whole
// clip.

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "accel/pipelines/chunk_state.h"
#include "accel/pipelines/generate_chunks.h"
#include "accel/pipelines/loaded_model.h"
#include "accel/pipelines/whole_state.h"
#include "accel/runtime/cancelled.h"
#include "accel/runtime/job_error.h"
#include "core/base/files.h"
#include "core/formats/model_scan.h"
#include "core/job/chunk_layout.h"
#include "core/job/settings_schema.h"
#include "tests/accel/small_dit.h"

using namespace canopy;
using namespace canopy::accel;
using test::TempFolder;

namespace {

constexpr int kEdge = 32; // pixels
constexpr std::uint64_t kAmple = std::uint64_t{1} << 30;

struct Starter {
    Starter()
        : model(*scanned(), at::kCPU, at::kFloat)
        , dit(model.transformer({})) {
        text.prompt = dit.embedText(at::randn({8, dit.config().textDim}) * 0.1);
        text.negative = dit.embedText(at::randn({8, dit.config().textDim}) * 0.1);
        text.guidance = 3;
    }
    static Result<ModelRecord> scanned() {
        const char* source = std::getenv("CANOPY_SOURCE_DIR");
        auto record =
            scanModel(std::filesystem::path(source ? source : ".") / "resources/models/starter-video");
        REQUIRE_MESSAGE(record.ok(), record.error().message);
        return record;
    }

    GenerationRequest clip(int blocks, int steps) const {
        const auto& defaults = model.record().defaults;
        GenerationRequest r;
        r.prompt = "a red balloon";
        r.modelId = model.record().id;
        r.width = r.height = kEdge;
        r.steps = steps;
        r.guidance = 3;
        r.chunks.mode = SamplingMode::Chunked;
        r.frames = pixelFrames(blocks * defaults.blockLatentFrames);
        r.precision = Precision::Float32;
        return withModelDefaults(r, defaults);
    }
    at::Tensor noise(const GenerationRequest& r) const {
        return at::randn({16, latentFrames(r.frames), kEdge / 8, kEdge / 8},
                         at::detail::createCPUGenerator(4), at::TensorOptions(at::kFloat));
    }
    at::Tensor make(GenerationRequest r, const ChunkClipEvents& events = {},
                    const std::stop_token& stop = {}) const {
        const auto start = noise(r);
        return generateChunks(dit, text, model.record().defaults, r, start, nullptr, events, stop);
    }

    LoadedModel model;
    const WanDit& dit;
    Conditioning text;
};

const Starter& starter() {
    static const Starter one;
    return one;
}

/// The states of all rows, as files.
struct States {
    TempFolder folder;
    std::vector<SamplingPoint> points;
    std::filesystem::path file(std::size_t i) const {
        return folder / ("state-" + std::to_string(i) + ".safetensors");
    }
    StateSaving saving(std::uint64_t budget = kAmple) {
        return {budget, [](bool) { return true; },
                [this](const SamplingPoint& point, const std::vector<std::uint8_t>& bytes) {
                    REQUIRE(writeFileAtomically(file(points.size()), std::span(bytes)).ok());
                    points.push_back(point);
                }};
    }
};

at::Tensor resumed(GenerationRequest r, const std::filesystem::path& file) {
    r.resumeStatePath = file;
    return starter().make(r);
}

std::vector<GenerationRequest> kinds() {
    const auto base = starter().clip(3, 5);
    std::vector<GenerationRequest> all;
    auto& plain = all.emplace_back(base);
    plain.chunks.segments = 2;
    auto& increments = all.emplace_back(base);
    increments.chunks.arStep = 2;
    increments.chunks.cache = ReuseMethod::FlowCache;
    increments.chunks.feature = ReuseFeature::Latent;
    increments.chunks.threshold = 0.4;
    increments.chunks.warmup = 1;
    increments.chunks.quantity = ReusedQuantity::Increment;
    auto& residuals = all.emplace_back(base);
    residuals.frames = pixelFrames(4 * residuals.chunks.blockFrames);
    residuals.chunks.arStep = 3;
    residuals.chunks.kvBudget = 3;
    residuals.chunks.cache = ReuseMethod::TeaCache;
    residuals.chunks.threshold = 0.5;
    residuals.chunks.warmup = 1;
    residuals.chunks.rescale = {0, 0, 0, 1, 0};
    residuals.chunks.quantity = ReusedQuantity::Residual;
    residuals.chunks.finalize = FinalizeKv::None;
    return all;
}

} // namespace

TEST_CASE("a clip goes on from the saved state of any row with the bits of one never stopped") {
    const c10::InferenceMode inference;
    for (const auto& request : kinds()) {
        CAPTURE(reuseMethodName(request.chunks.cache));
        States states;
        ChunkClipEvents events;
        events.saving = states.saving();
        ChunkRecord record;
        events.record = [&](const ChunkRecord& part) { append(record, part); };
        const auto whole = starter().make(request, events);
        CHECK((totalsOf(record).reused > 0) == (request.chunks.cache != ReuseMethod::None));
        CHECK(record.compressions.empty() == (request.chunks.kvBudget == 0));
        REQUIRE(states.points.size() == record.rows.size());
        for (std::size_t i = 1; i < states.points.size(); i += 4) {
            CAPTURE(i);
            CHECK(states.points[i].exact);
            CHECK(states.points[i].row == static_cast<int>(i) + 1);
            CHECK(at::equal(resumed(request, states.file(i)), whole));
        }
    }
}

TEST_CASE("stopped inside a row the state is that before it, and nothing is lost") {
    const c10::InferenceMode inference;
    for (const auto& request : kinds()) {
        const auto whole = starter().make(request);
        GenerationRequest r = request;
        at::Tensor made;
        int stops = 0;
        std::deque<States> states;
        while (!made.defined()) {
            std::stop_source stop;
            int layers = 0;
            ChunkClipEvents events;
            auto& newest = states.emplace_back();
            events.saving = newest.saving();
            events.saving.wanted = [](bool stopped) { return stopped; };
            // More at each attempt, so that the longest row ends in one.
            events.steps.pace = [&] {
                if (++layers == 81 + 20 * stops)
                    stop.request_stop();
            };
            try {
                made = starter().make(r, events, stop.get_token());
            } catch (const Cancelled&) {
                ++stops;
                REQUIRE(newest.points.size() == 1);
                r.resumeStatePath = newest.file(0);
            }
        }
        CHECK(stops >= 2);
        CHECK(at::equal(made, whole));
    }
}

TEST_CASE("a state too large for its budget is one with a checkpoint at that row") {
    const c10::InferenceMode inference;
    for (const auto& request : kinds()) {
        CAPTURE(reuseMethodName(request.chunks.cache));
        States small, full;
        ChunkClipEvents events;
        events.saving = full.saving();
        const auto whole = starter().make(request, events);
        events.saving = small.saving(0);
        CHECK(at::equal(starter().make(request, events), whole)); // saving changes nothing
        const std::size_t row = full.points.size() / 2;
        CHECK_FALSE(small.points[row].exact);
        CHECK(std::filesystem::file_size(small.file(row)) < std::filesystem::file_size(full.file(row)) / 2);
        const auto fromSmall = resumed(request, small.file(row));

        // The uninterrupted run with a checkpoint there: all of the state, then dropKeys().
        SamplingPoint point;
        const auto parts = readState(full.file(row), request, at::kCPU, &point);
        point.exact = false;
        const auto bytes = writeState(parts, point, request);
        const auto boundary = full.folder / "boundary.safetensors";
        REQUIRE(writeFileAtomically(boundary, std::span<const std::uint8_t>(bytes)).ok());
        CHECK(at::equal(fromSmall, resumed(request, boundary)));
        // Clean keys of whole blocks are the same when they are made anew.
        CHECK(at::equal(fromSmall, whole) == (request.chunks.cache == ReuseMethod::None));
    }
}

TEST_CASE("a damaged, foreign or newer state has a sentence each") {
    const c10::InferenceMode inference;
    const auto request = starter().clip(2, 2);
    States states;
    ChunkClipEvents events;
    events.saving = states.saving();
    (void)starter().make(request, events);
    const auto bytes = *readFile(states.file(0), kAmple);
    const auto refusal = [&](const GenerationRequest& r, std::vector<std::uint8_t> file) {
        const auto path = states.folder / "other.safetensors";
        REQUIRE(writeFileAtomically(path, std::span<const std::uint8_t>(file)).ok());
        try {
            (void)resumed(r, path);
        } catch (const JobError& e) {
            return e.error;
        }
        return makeError(ErrorCode::Internal, "it was taken");
    };
    auto cut = bytes;
    cut.resize(cut.size() / 2);
    CHECK(refusal(request, cut).code == ErrorCode::Malformed);
    auto other = request;
    other.seed += 1;
    const auto foreign = refusal(other, bytes);
    CHECK(foreign.code == ErrorCode::Mismatch);
    CHECK(foreign.message.find("other settings") != std::string::npos);
    std::string text(bytes.begin(), bytes.end());
    const std::string key = "\"canopy_state_version\":\"1\"";
    REQUIRE(text.find(key) != std::string::npos);
    text[text.find(key) + key.size() - 2] = '2';
    const auto newer = refusal(request, {text.begin(), text.end()});
    CHECK(newer.code == ErrorCode::Unsupported);
    CHECK(newer.message.find("version 2") != std::string::npos);
    // A state whose parts do not fit, though it says that it does.
    SamplingPoint point;
    auto parts = readState(states.file(0), request, at::kCPU, &point);
    parts.tensors.erase("keys.0");
    CHECK(refusal(request, writeState(parts, point, request)).code == ErrorCode::Mismatch);
}

TEST_CASE("a whole clip goes on from the state of any row") {
    const c10::InferenceMode inference;
    const test::SmallModel model;
    const auto plan =
        synchronousPlan(Sampler::UniPc, uniPcSchedule(6, 5, TimeGrid::Diffusers), model.latents.size(1));
    auto state = startState(plan, model.latents.clone());
    std::vector<StateParts> saved;
    DenoiseEvents events;
    events.rowDone = [&](int, int, double) { saveWhole(state, saved.emplace_back()); };
    denoise(*model.dit, model.conditioning, plan, state, {}, events, {});
    REQUIRE(saved.size() == 6);
    const GenerationRequest request;
    TempFolder folder;
    for (const auto& parts : saved) {
        const auto file = folder / "state.safetensors";
        const auto bytes = writeState(parts, {.row = 1, .rows = 6}, request);
        REQUIRE(writeFileAtomically(file, std::span<const std::uint8_t>(bytes)).ok());
        auto fresh = startState(plan, model.latents.clone());
        restoreWhole(readState(file, request, at::kCPU), fresh);
        denoise(*model.dit, model.conditioning, plan, fresh, {}, {}, {});
        CHECK(at::equal(fresh.latents, state.latents));
    }
}
