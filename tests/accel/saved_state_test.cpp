// What is saved between two rows is all there is, block by block and for a whole clip.

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "accel/pipelines/chunk_state.h"
#include "accel/pipelines/generate_chunks.h"
#include "accel/pipelines/whole_state.h"
#include "accel/runtime/cancelled.h"
#include "accel/runtime/job_error.h"
#include "core/job/chunk_layout.h"
#include "core/job/settings_schema.h"
#include "tests/accel/small_dit.h"

using namespace canopy;
using namespace canopy::accel;
using test::TempFolder;

namespace {

constexpr int kRows = 4, kColumns = 6; // of latents
constexpr std::uint64_t kAmple = std::uint64_t{1} << 30;

/// A small random transformer with blocks of two latent frames.
struct Small {
    Small() {
        defaults.blockLatentFrames = 2;
        defaults.framesTrainedMax = 29;
        defaults.shift = 5;
    }
    GenerationRequest clip(int blocks, int steps) const {
        GenerationRequest r;
        r.prompt = "a red balloon";
        r.width = 8 * kColumns;
        r.height = 8 * kRows;
        r.steps = steps;
        r.fps = 16;
        r.guidance = 3;
        r.chunks.mode = SamplingMode::Chunked;
        r.frames = pixelFrames(blocks * defaults.blockLatentFrames);
        r.precision = Precision::Float32;
        return withModelDefaults(r, defaults);
    }
    at::Tensor make(GenerationRequest r, const ChunkClipEvents& events = {},
                    const std::stop_token& stop = {}) const {
        const auto start = at::randn({model.config.inChannels, latentFrames(r.frames), kRows, kColumns},
                                     at::detail::createCPUGenerator(4), at::TensorOptions(at::kFloat));
        return generateChunks(*model.dit, model.conditioning, defaults, r, start, nullptr, events, stop);
    }

    test::SmallModel model;
    ModelDefaults defaults;
};

const Small& small() {
    static const Small one;
    return one;
}

/// Not durable: a disk that is asked to be sure takes longer than the clip.
void writeQuickly(const std::filesystem::path& path, const std::vector<std::uint8_t>& bytes) {
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    REQUIRE(out.good());
}

/// The states of all rows.
struct States {
    TempFolder folder;
    std::vector<SamplingPoint> points;
    std::vector<std::vector<std::uint8_t>> bytes;
    std::filesystem::path file(std::size_t i) const {
        const auto path = folder / "state.safetensors";
        writeQuickly(path, bytes.at(i));
        return path;
    }
    StateSaving saving(std::uint64_t budget = kAmple) {
        return {budget, [](bool) { return true; },
                [this](const SamplingPoint& point, std::vector<std::uint8_t> state) {
                    points.push_back(point);
                    bytes.push_back(std::move(state));
                }};
    }
};

at::Tensor resumed(GenerationRequest r, const std::filesystem::path& file) {
    r.resumeStatePath = file;
    return small().make(r);
}

std::vector<GenerationRequest> kinds() {
    const auto base = small().clip(3, 5);
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
        const auto whole = small().make(request, events);
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
        const auto whole = small().make(request);
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
                if (++layers == 9 + 5 * stops)
                    stop.request_stop();
            };
            try {
                made = small().make(r, events, stop.get_token());
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
        States lean, full;
        ChunkClipEvents events;
        events.saving = full.saving();
        const auto whole = small().make(request, events);
        events.saving = lean.saving(0);
        CHECK(at::equal(small().make(request, events), whole)); // saving changes nothing
        const std::size_t row = full.points.size() / 2;
        CHECK_FALSE(lean.points[row].exact);
        CHECK(lean.bytes[row].size() < full.bytes[row].size() / 2);
        const auto fromLean = resumed(request, lean.file(row));

        // The uninterrupted run with a checkpoint there: all of the state, then dropKeys().
        SamplingPoint point;
        const auto parts = readState(full.file(row), request, at::kCPU, &point);
        point.exact = false;
        const auto bytes = writeState(parts, point, request);
        const auto boundary = full.folder / "boundary.safetensors";
        writeQuickly(boundary, bytes);
        CHECK(at::equal(fromLean, resumed(request, boundary)));
        // Clean keys of whole blocks are the same when they are made anew.
        CHECK(at::equal(fromLean, whole) == (request.chunks.cache == ReuseMethod::None));
    }
}

TEST_CASE("a damaged, foreign or newer state has a sentence each") {
    const c10::InferenceMode inference;
    const auto request = small().clip(2, 2);
    States states;
    ChunkClipEvents events;
    events.saving = states.saving();
    (void)small().make(request, events);
    const auto bytes = states.bytes.at(0);
    const auto refusal = [&](const GenerationRequest& r, std::vector<std::uint8_t> file) {
        const auto path = states.folder / "other.safetensors";
        writeQuickly(path, file);
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
        writeQuickly(file, bytes);
        auto fresh = startState(plan, model.latents.clone());
        restoreWhole(readState(file, request, at::kCPU), fresh);
        denoise(*model.dit, model.conditioning, plan, fresh, {}, {}, {});
        CHECK(at::equal(fresh.latents, state.latents));
    }
}
