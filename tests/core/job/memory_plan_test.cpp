// The plan against peaks measured by tests/bench/generation_bench (card and date in tests/bench/RESULTS.md).

#include "core/job/memory_plan.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace canopy;

namespace {

/// Wan 2.1 T2V 1.3B with UMT5-XXL.
ModelRecord wan13b() {
    ModelRecord m;
    m.dit = {ModelFamily::WanT2v, 12, 128, 30, 8960, 4096};
    m.vae.baseDim = 96;
    m.text = {256384, 4096, 64, 64, 10240, 24};
    m.defaults.textLength = 512;
    m.transformerParameters = 1'418'996'800;
    m.textParameters = 5'680'910'336;
    m.vaeParameters = 126'892'531;
    return m;
}

ModelRecord starter() {
    ModelRecord m;
    m.dit = {ModelFamily::SkyReelsDf, 6, 64, 7, 896, 256};
    m.dit.fpsEmbedding = true;
    m.vae.baseDim = 16;
    m.text = {2048, 256, 32, 8, 640, 4};
    m.defaults.textLength = 64;
    m.transformerParameters = 15'603'264;
    m.textParameters = 3'542'272;
    m.vaeParameters = 3'602'371;
    return m;
}

struct Measured {
    const char* what;
    bool isStarter;
    DeviceKind device;
    Precision precision;
    int width, height, frames;
    bool tiling;
    double peakMegabytes;
};

constexpr Measured kMeasured[] = {
    {"480p, 81 frames", false, DeviceKind::Cuda, Precision::BFloat16, 832, 480, 81, false, 11686.3},
    {"480p, 33 frames, tiles", false, DeviceKind::Cuda, Precision::BFloat16, 832, 480, 33, true, 11686.3},
    {"starter on the card", true, DeviceKind::Cuda, Precision::BFloat16, 320, 192, 33, false, 174.3},
    {"starter, bf16", true, DeviceKind::Cpu, Precision::BFloat16, 320, 192, 33, false, 331.6},
    {"starter, fp32", true, DeviceKind::Cpu, Precision::Float32, 320, 192, 33, false, 450.3},
    {"starter, 17 frames", true, DeviceKind::Cpu, Precision::BFloat16, 320, 192, 17, false, 323.5},
    {"starter, larger", true, DeviceKind::Cpu, Precision::BFloat16, 640, 384, 65, false, 702.9},
    {"starter, tiles", true, DeviceKind::Cpu, Precision::Float32, 480, 320, 33, true, 517.5},
};

} // namespace

TEST_CASE("the planned peak is within 5 % of the measured one on a card, 10 % on the CPU") {
    for (const auto& m : kMeasured) {
        CAPTURE(m.what);
        GenerationRequest request;
        request.device = m.device;
        request.precision = m.precision;
        request.width = m.width;
        request.height = m.height;
        request.frames = m.frames;
        request.vaeTiling = m.tiling;
        const auto plan = planMemory(m.isStarter ? starter() : wan13b(), request);
        const double planned = static_cast<double>(plan.peakBytes(m.device)) / 1e6;
        CAPTURE(planned);
        CHECK(std::abs(planned / m.peakMegabytes - 1) <= (m.device == DeviceKind::Cuda ? 0.05 : 0.10));
    }
}

TEST_CASE(
    "stages of the large model match by themselves: what is given up between them is not counted twice") {
    GenerationRequest request;
    request.device = DeviceKind::Cuda;
    request.precision = Precision::BFloat16;
    request.width = 832;
    request.height = 480;
    request.frames = 81;
    const auto plan = planMemory(wan13b(), request);
    constexpr double kStages[] = {11686.3, 4273.4, 3704.5};
    REQUIRE(plan.stages.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        CAPTURE(plan.stages[i].name);
        CHECK(std::abs(static_cast<double>(plan.stages[i].bytes(DeviceKind::Cuda)) / 1e6 / kStages[i] - 1) <=
              0.05);
    }
}

TEST_CASE("a clip in chunks is decoded while it is sampled, and the plan counts both") {
    GenerationRequest request;
    request.device = DeviceKind::Cpu;
    request.precision = Precision::BFloat16;
    request.width = 320;
    request.height = 192;
    request.frames = 33;
    request.steps = 8;
    request.guidance = 4;
    request.chunks.mode = SamplingMode::Chunked;
    request.chunks.blockFrames = request.chunks.overlapFrames = 3;
    request.chunks.arStep = 8;
    ModelRecord model = starter();
    model.defaults.framesTrainedMax = 97;
    const double planned = static_cast<double>(planMemory(model, request).peakBytes(DeviceKind::Cpu)) / 1e6;
    CAPTURE(planned);
    CHECK(std::abs(planned / 387.0 - 1) <= 0.10); // measured, 2 cores with bf16 products
    // In tiles it is decoded at the end.
    request.vaeTiling = true;
    CHECK(planMemory(model, request).stages[1].bytes(DeviceKind::Cpu) <
          static_cast<std::uint64_t>(planned * 1e6));
}
