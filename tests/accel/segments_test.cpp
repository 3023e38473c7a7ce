// Long clips made in segments, and clips that begin with given frames, with the shipped starter.

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "accel/pipelines/generate_chunks.h"
#include "accel/pipelines/generate_video.h"
#include "accel/pipelines/latents_file.h"
#include "accel/pipelines/loaded_model.h"
#include "accel/runtime/job_error.h"
#include "core/base/files.h"
#include "core/formats/model_scan.h"
#include "core/formats/safetensors.h"
#include "core/job/chunk_layout.h"
#include "core/job/settings_schema.h"
#include "tests/support/temp_folder.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

constexpr int kEdge = 64;         // pixels
constexpr int kCells = kEdge / 8; // latent

LoadedModel starter() {
    const char* source = std::getenv("CANOPY_SOURCE_DIR");
    const auto record =
        scanModel(std::filesystem::path(source ? source : ".") / "resources/models/starter-video");
    REQUIRE_MESSAGE(record.ok(), record.error().message);
    return LoadedModel(*record, at::kCPU, at::kFloat);
}

/// Of so many blocks, resolved.
GenerationRequest clip(const ModelRecord& model, int blocks) {
    GenerationRequest r;
    r.prompt = "a red balloon rises slowly over the sea at sunset";
    r.modelId = model.id;
    r.width = r.height = kEdge;
    r.steps = 4;
    r.guidance = 1;
    r.seed = 5;
    r.chunks.mode = SamplingMode::Chunked;
    r.frames = pixelFrames(blocks * model.defaults.blockLatentFrames);
    r.precision = Precision::Float32;
    return withModelDefaults(r, model.defaults);
}

Conditioning anyText(const WanDit& dit) {
    Conditioning conditioning;
    conditioning.prompt = dit.embedText(at::randn({8, dit.config().textDim}) * 0.1);
    return conditioning;
}

at::Tensor made(const WanDit& dit, const Conditioning& conditioning, const ModelDefaults& model,
                GenerationRequest request, const at::Tensor& start) {
    return generateChunks(dit, conditioning, model, request, start.clone(), nullptr, {}, {});
}

/// Keeps the latents and frames of a job.
class Latents final : public JobObserver {
public:
    bool wants(std::string_view) const override { return false; }
    void resolved(const GenerationRequest&, const MemoryPlan&) override {}
    void stage(std::string_view name, int unit, int units) override {
        if (name == "denoise")
            row = unit, rows = units;
    }
    void block(int, int) override {}
    void timing(std::string_view, int, double) override {}
    void preview(int, int, int, int, std::vector<std::uint8_t>) override {}
    void latents(std::vector<std::uint8_t> bytes) override { file = std::move(bytes); }
    void frame(int index, int, int, int, std::vector<std::uint8_t> rgb) override {
        CHECK(index == frames);
        ++frames;
        rowOf.push_back(row);
        pixels.insert(pixels.end(), rgb.begin(), rgb.end());
    }
    std::vector<std::uint8_t> file;
    std::vector<std::uint8_t> pixels;
    std::vector<int> rowOf; ///< rows that were done when a frame came
    int row = 0, rows = 0;
    int frames = 0;
};

} // namespace

TEST_CASE("segments are clips of their own that begin with the last block of the one before") {
    const c10::InferenceMode inference;
    auto model = starter();
    const auto& dit = model.transformer({});
    const auto& defaults = model.record().defaults;
    const std::int64_t block = defaults.blockLatentFrames;
    const auto text = anyText(dit);
    const auto noise = at::randn({16, 5 * block, kCells, kCells});

    auto whole = clip(model.record(), 5);
    whole.chunks.segments = 2; // blocks 0 to 2 and 2 to 4
    const bool twoParts =
        chunkLayout(whole, defaults).segments == std::vector<ChunkSegment>{{0, 3, 0}, {2, 3, 1}};
    REQUIRE(twoParts);
    const auto joined = made(dit, text, defaults, whole, noise);

    auto part = clip(model.record(), 3);
    part.chunks.segments = 1;
    const auto first = made(dit, text, defaults, part, noise.narrow(1, 0, 3 * block));
    CHECK(at::equal(joined.narrow(1, 0, 3 * block), first));

    // Its last block is what a given video's latents are to the next part.
    part.imagePixelsPath = "given";
    part.chunks.givenFrames = static_cast<int>(block);
    const auto start = at::cat({first.narrow(1, 2 * block, block), noise.narrow(1, 3 * block, 2 * block)}, 1);
    const auto second = made(dit, text, defaults, part, start);
    CHECK(at::equal(joined.narrow(1, 2 * block, 3 * block), second));

    // In one go the later blocks see all earlier ones and come out otherwise.
    whole.chunks.segments = 1;
    const auto together = made(dit, text, defaults, whole, noise);
    CHECK(at::equal(together.narrow(1, 0, 3 * block), first));
    CHECK_FALSE(at::equal(together, joined));
}

TEST_CASE("given frames stay as they are, noised for the network or not") {
    const c10::InferenceMode inference;
    auto model = starter();
    const auto& dit = model.transformer({});
    const auto& defaults = model.record().defaults;
    const std::int64_t block = defaults.blockLatentFrames;
    const auto text = anyText(dit);
    const auto start = at::randn({16, 3 * block, kCells, kCells});
    for (const int given : {1, static_cast<int>(block), static_cast<int>(block) + 1}) {
        CAPTURE(given);
        auto request = clip(model.record(), 3);
        request.imagePixelsPath = "given";
        request.chunks.givenFrames = given;
        REQUIRE(checkRequest(request, model.record()).empty());
        const auto clean = made(dit, text, defaults, request, start);
        CHECK(at::equal(clean.narrow(1, 0, given), start.narrow(1, 0, given)));
        CHECK_FALSE(at::equal(clean.narrow(1, given, 1), start.narrow(1, given, 1)));
        request.chunks.addNoise = 20;
        const auto noised = made(dit, text, defaults, request, start);
        CHECK(at::equal(noised.narrow(1, 0, given), start.narrow(1, 0, given)));
        CHECK_FALSE(at::equal(noised, clean));
        CHECK(at::equal(made(dit, text, defaults, request, start), noised));
    }
}

TEST_CASE("a clip goes on from the frames of a video") {
    const c10::InferenceMode inference;
    test::TempFolder folder;
    auto model = starter();
    const auto pixels = at::randint(0, 256, {5, kEdge, kEdge, 3}, at::TensorOptions(at::kByte));
    const auto file = folder / "start.safetensors";
    const auto bytes = writeSafetensors(
        {{"frames",
          DType::U8,
          {5, kEdge, kEdge, 3},
          {pixels.const_data_ptr<std::uint8_t>(), static_cast<std::size_t>(pixels.numel())}}});
    REQUIRE(writeFileAtomically(file, std::span<const std::uint8_t>(bytes)).ok());

    auto request = clip(model.record(), 2);
    request.imagePixelsPath = file.string();
    request.chunks.givenFrames = 2;
    Latents observer;
    generateVideo(model, request, {}, observer, {});
    CHECK(observer.frames == request.frames);
    REQUIRE(writeFileAtomically(folder / "latents", std::span<const std::uint8_t>(observer.file)).ok());
    const auto latents = readLatents(folder / "latents", {16, latentFrames(request.frames), kCells, kCells});
    const auto expected = model.vae({}).encode(readVideoPixels(file, 5, kEdge, kEdge).unsqueeze(0), {});
    CHECK(at::equal(latents.narrow(1, 0, 2), expected[0]));

    // A file of other frames than the settings say.
    request.chunks.givenFrames = 3;
    CHECK_THROWS_AS(generateVideo(model, request, {}, observer, {}), JobError);
}

TEST_CASE("chunks are decoded as they are finished, with the bits of one decoding of the whole clip") {
    const c10::InferenceMode inference;
    test::TempFolder folder;
    auto model = starter();
    const int block = model.record().defaults.blockLatentFrames;
    for (const int segments : {1, 2}) {
        CAPTURE(segments);
        auto request = clip(model.record(), 3);
        request.chunks.segments = segments;
        Latents growing;
        generateVideo(model, request, {}, growing, {});
        REQUIRE(growing.frames == request.frames);
        for (int chunk = 0; chunk < 3; ++chunk) {
            CAPTURE(chunk);
            for (int f = pixelFrames(chunk * block); f < pixelFrames((chunk + 1) * block); ++f)
                CHECK(growing.rowOf[static_cast<std::size_t>(f)] == (chunk + 1) * request.steps);
        }

        auto again = request;
        again.resumeLatentsPath = (folder / ("latents" + std::to_string(segments))).string();
        REQUIRE(
            writeFileAtomically(again.resumeLatentsPath, std::span<const std::uint8_t>(growing.file)).ok());
        Latents whole;
        generateVideo(model, again, {}, whole, {});
        CHECK(whole.pixels == growing.pixels);

        // From a later chunk on: what stays of the earlier clip comes first, bit for bit.
        auto take = request;
        take.prompt = "a blue car drives through the desert";
        take.chunks.fromChunk = 1;
        take.chunks.basePath = again.resumeLatentsPath;
        Latents other;
        generateVideo(model, take, {}, other, {});
        REQUIRE(other.frames == request.frames);
        const auto kept = static_cast<std::ptrdiff_t>(pixelFrames(block)) * kEdge * kEdge * 3;
        CHECK(std::equal(growing.pixels.begin(), growing.pixels.begin() + kept, other.pixels.begin()));
        CHECK(other.pixels != growing.pixels);
        CHECK(other.rowOf.front() == 0);
        // Tiles need the whole clip.
        take.vaeTiling = true;
        Latents tiled;
        generateVideo(model, take, {}, tiled, {});
        CHECK(tiled.rowOf.front() == tiled.rows);
    }
}
