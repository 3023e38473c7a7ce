// The autoencoder beyond the stored references: streams, cancel, tiles, the fused norm, and the starter
// model's clips.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "accel/models/wan/vae.h"
#include "accel/ops/pixel_norm.h"
#include "accel/reference/pixel_norm.h"
#include "accel/runtime/cancelled.h"
#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"
#include "tests/accel/parity/vae_model.h"
#include "tests/support/parity_case.h"

namespace fs = std::filesystem;
using namespace canopy;
using namespace canopy::accel;
using namespace canopy::test;

namespace {

fs::path fromEnvironment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

Value readJson(const fs::path& path) {
    const auto text = readTextFile(path, 1u << 20);
    REQUIRE_MESSAGE(text.ok(), text.error().message);
    const auto json = parseJson(*text, CodecLimits{1u << 20, 64, 65536, 65536});
    REQUIRE_MESSAGE(json.ok(), json.error().message);
    return *json;
}

/// The small random autoencoder of the stored references.
const WanVae& smallVae() {
    static const auto vae = [] {
        const auto folder = fromEnvironment("CANOPY_SOURCE_DIR") / "tests" / "data" / "parity";
        const ParityCase reference(folder, "wan_vae_small", readJson(folder / "wan_vae_small.json"));
        return loadVae(vaeConfig(reference.config()), reference.weightFiles().front());
    }();
    return *vae;
}

at::Tensor smallLatents(std::int64_t frames, std::int64_t h, std::int64_t w) {
    at::manual_seed(3);
    return at::randn({smallVae().config().latentChannels, frames, h, w}, at::TensorOptions(at::kFloat));
}

/// The starter's autoencoder in the sources, or in the folder that CANOPY_STARTER_DIR names; empty when
/// neither.
fs::path starterVaeFolder() {
    const auto shipped =
        fromEnvironment("CANOPY_SOURCE_DIR") / "resources" / "models" / "starter-video" / "vae";
    if (fs::is_directory(shipped))
        return shipped;
    const auto shared = fromEnvironment("CANOPY_STARTER_DIR") / "generator" / "vae";
    return fs::is_directory(shared) ? shared : fs::path();
}

std::unique_ptr<WanVae> starterVae(const fs::path& folder, at::ScalarType dtype = at::kFloat) {
    return loadVae(vaeConfig(readJson(folder / "config.json")),
                   folder / "diffusion_pytorch_model.safetensors", dtype);
}

double psnr(const at::Tensor& a, const at::Tensor& b) { // of eight-bit pictures
    const double error = (a.to(at::kDouble) - b.to(at::kDouble)).square().mean().item<double>();
    return 10 * std::log10(255.0 * 255.0 / std::max(error, 1e-10));
}

/// Decoded like the reference program does: uint8 RGB [T, H, W, 3].
at::Tensor decodeRgb(const WanVae& vae, const at::Tensor& latents, std::optional<VaeTiling> tiling = {}) {
    std::vector<at::Tensor> frames;
    WanVae::DecodeOptions options;
    options.tiling = tiling;
    options.onFrames = [&](const at::Tensor& rgb) { frames.push_back(rgb); };
    vae.decode(latents, options);
    return at::cat(frames);
}

/// A soft, slowly drifting picture in [-1, 1]: [1, 3, T, H, W].
at::Tensor smoothVideo(std::int64_t frames, std::int64_t height, std::int64_t width) {
    const at::TensorOptions options(at::kFloat);
    const auto t = at::linspace(0, 0.5, frames, options).view({1, frames, 1, 1});
    const auto y = at::linspace(0, 3, height, options).view({1, 1, height, 1});
    const auto x = at::linspace(0, 5, width, options).view({1, 1, 1, width});
    const auto c = at::linspace(0, 2, 3, options).view({3, 1, 1, 1});
    return ((x + c + t).sin() * (y - c).cos()).mul(0.7).unsqueeze(0);
}

} // namespace

TEST_CASE("the fused norm is the plain one on every kernel set, also into a slot of a ring") {
    const c10::InferenceMode inference;
    using kernels::KernelSet;
    for (const KernelSet set :
         {KernelSet::Portable, KernelSet::Avx2, KernelSet::Avx512, KernelSet::Avx512Bf16, KernelSet::Amx}) {
        if (!kernels::isSupported(set))
            continue;
        for (const auto dtype : {at::kFloat, at::kBFloat16}) {
            for (const std::int64_t channels : {1, 6, 16, 24, 100}) {
                for (const bool silu : {true, false}) {
                    CAPTURE(kernels::kernelSetName(set));
                    CAPTURE(channels);
                    at::manual_seed(7);
                    auto x = at::randn({1, 9, 15, channels}, at::TensorOptions(at::kFloat)).mul_(30);
                    x[0][0][0].zero_();    // the length of this pixel is 0
                    x[0][0][1].mul_(1e-3); // small before, not after
                    const auto frame = x.to(dtype).permute({0, 3, 1, 2});
                    const auto gain = at::randn({channels}, at::TensorOptions(at::kFloat)).mul_(4);
                    const auto expected = reference::pixelNorm(frame, gain, silu);
                    auto ring = at::full({1, 9, 15, 3 * channels}, 77, x.options().dtype(dtype))
                                    .permute({0, 3, 1, 2});
                    const auto slot = ring.narrow(1, channels, channels);
                    ops::pixelNorm(frame, gain, silu, slot, set);
                    // One unit in the last place of bfloat16, or the error of the exponential in float32.
                    const double relative = dtype == at::kFloat ? 2e-6 : 1.0 / 128;
                    const auto difference = (slot.to(at::kFloat) - expected.to(at::kFloat)).abs();
                    const auto allowed = expected.to(at::kFloat).abs() * relative + 1e-6;
                    CHECK((difference - allowed).max().item<float>() <= 0);
                    CHECK(ring.narrow(1, 0, channels).ne(77).sum().item<std::int64_t>() == 0);
                    CHECK(ring.narrow(1, 2 * channels, channels).ne(77).sum().item<std::int64_t>() == 0);
                }
            }
        }
    }
}

TEST_CASE("a frame is the same however many latent frames come after it") {
    const c10::InferenceMode inference;
    const auto latents = smallLatents(4, 3, 5);
    const auto whole = decodePreClamp(smallVae(), latents);
    REQUIRE(whole.size(1) == 13);
    for (const std::int64_t frames : {1, 2, 3}) {
        const auto begin = decodePreClamp(smallVae(), latents.narrow(1, 0, frames));
        REQUIRE(begin.size(1) == 1 + 4 * (frames - 1));
        CHECK(at::equal(begin, whole.narrow(1, 0, begin.size(1))));
    }
    // Nothing is left over from a job before.
    CHECK(at::equal(decodePreClamp(smallVae(), latents), whole));

    const auto video = whole.clamp(-1, 1).unsqueeze(0);
    const auto encoded = smallVae().encode(video, {});
    REQUIRE(encoded.size(2) == 4);
    CHECK(at::equal(smallVae().encode(video.narrow(2, 0, 5), {}), encoded.narrow(2, 0, 2)));
}

TEST_CASE("frames come out with their latent frame, not at the end") {
    const c10::InferenceMode inference;
    std::vector<std::string> order;
    WanVae::DecodeOptions options;
    options.onFrames = [&](const at::Tensor& rgb) {
        order.push_back("frames " + std::to_string(rgb.size(0)));
    };
    options.onProgress = [&](std::int64_t done, std::int64_t total) {
        order.push_back(std::to_string(done) + "/" + std::to_string(total));
    };
    smallVae().decode(smallLatents(3, 2, 2).unsqueeze(0), options);
    CHECK(order == std::vector<std::string>{"frames 1", "1/3", "frames 4", "2/3", "frames 4", "3/3"});
}

TEST_CASE("a stop is noticed within one block") {
    const c10::InferenceMode inference;
    std::stop_source source;
    std::vector<std::string> seen;
    WanVae::DecodeOptions options;
    options.stop = source.get_token();
    int frames = 0;
    options.onFrames = [&](const at::Tensor& rgb) { frames += static_cast<int>(rgb.size(0)); };
    options.tap = [&](std::string_view name, const at::Tensor&) {
        seen.emplace_back(name);
        if (name == "mid_block" && frames == 1)
            source.request_stop();
    };
    CHECK_THROWS_AS(smallVae().decode(smallLatents(3, 2, 2).unsqueeze(0), options), Cancelled);
    CHECK(frames == 1);
    CHECK(seen.back() == "mid_block");

    std::stop_source encodeSource;
    int latents = 0;
    const auto video = at::zeros({1, 3, 9, 16, 16}, at::TensorOptions(at::kFloat));
    CHECK_THROWS_AS(smallVae().encode(video, {encodeSource.get_token(),
                                              {},
                                              [&](std::string_view, const at::Tensor&) {
                                                  ++latents;
                                                  encodeSource.request_stop();
                                              }}),
                    Cancelled);
    CHECK(latents <= 3); // encoder, mean, logvar of the first latent frame

    std::stop_source tiledSource;
    WanVae::DecodeOptions tiled;
    tiled.stop = tiledSource.get_token();
    tiled.tiling = VaeTiling{48, 16};
    int progress = 0;
    tiled.onProgress = [&](std::int64_t, std::int64_t) {
        ++progress;
        tiledSource.request_stop();
    };
    CHECK_THROWS_AS(smallVae().decode(smallLatents(2, 10, 10).unsqueeze(0), tiled), Cancelled);
    CHECK(progress == 1);
}

TEST_CASE("wrong shapes are named") {
    const c10::InferenceMode inference;
    const auto options = at::TensorOptions(at::kFloat);
    CHECK_THROWS_AS(smallVae().decode(at::zeros({1, 15, 1, 2, 2}, options), {}), c10::Error);
    CHECK_THROWS_AS((void)smallVae().encode(at::zeros({1, 3, 4, 16, 16}, options), {}), c10::Error);
    CHECK_THROWS_AS((void)smallVae().encode(at::zeros({1, 3, 5, 16, 20}, options), {}), c10::Error);
    CHECK_THROWS_AS((void)tileSpans(100, VaeTiling{128, 64}), c10::Error);
}

TEST_CASE("tiles cover everything and their weights sum to one") {
    const VaeTiling tiling{128, 32};
    for (std::int64_t extent = 1; extent < 90; ++extent) {
        for (const std::int64_t scale : {1, 8}) {
            auto sum = at::zeros({extent * scale}, at::TensorOptions(at::kFloat));
            for (const auto& span : tileSpans(extent, tiling)) {
                REQUIRE(span.start >= 0);
                REQUIRE(span.start + span.length <= extent);
                REQUIRE(span.length <= 16);
                const auto weights = tileWeights(span, tiling, scale);
                REQUIRE(weights.min().item<float>() >= 0);
                // A tile's inner borders show zeros instead of neighbours: they must not count.
                if (span.start > 0)
                    CHECK(weights[0].item<float>() == 0);
                if (span.start + span.length < extent)
                    CHECK(weights[-1].item<float>() == 0);
                // No step higher than a straight ramp over half an overlap.
                if (span.length > 1) {
                    const auto steps = weights.narrow(0, 1, span.length * scale - 1) -
                                       weights.narrow(0, 0, span.length * scale - 1);
                    CHECK(steps.abs().max().item<double>() <= 1.0 / static_cast<double>(2 * scale) + 1e-6);
                }
                sum.narrow(0, span.start * scale, span.length * scale).add_(weights);
            }
            CAPTURE(extent);
            CHECK((sum - 1).abs().max().item<float>() < 1e-6);
        }
    }
}

TEST_CASE("the starter's reference clips come out at 40 dB or more") {
    const c10::InferenceMode inference;
    const auto folder = starterVaeFolder();
    const auto references = fromEnvironment("CANOPY_STARTER_DIR") / "reference";
    if (folder.empty() || !fs::is_directory(references)) {
        MESSAGE("skipped: needs the starter model and its reference clips; set CANOPY_STARTER_DIR to their "
                "folder");
        return;
    }
    const auto vae = starterVae(folder);
    int clips = 0;
    for (const auto& entry : fs::directory_iterator(references)) {
        if (entry.path().extension() != ".safetensors")
            continue;
        CAPTURE(entry.path().filename().string());
        const ParityCase clip(references, entry.path().stem().string(), {});
        const auto rgb = decodeRgb(*vae, clip.tensor("latents"));
        for (const auto& name : clip.tensorNames()) {
            if (!name.starts_with("frames_"))
                continue;
            const auto stored = clip.tensor(name);
            const std::int64_t stride = (rgb.size(0) - 1) / (stored.size(0) - 1);
            for (std::int64_t i = 0; i < stored.size(0); ++i)
                CHECK(psnr(rgb[i * stride], stored[i]) >= 40);
            ++clips;
        }
    }
    CHECK(clips > 0);
}

TEST_CASE("tiles join without a seam") {
    const c10::InferenceMode inference;
    const auto folder = starterVaeFolder();
    if (folder.empty()) {
        MESSAGE("skipped: the starter model is not here; set CANOPY_STARTER_DIR to its folder");
        return;
    }
    const auto vae = starterVae(folder);
    const auto video = smoothVideo(5, 112, 208);
    const VaeTiling tiling{128, 40}; // one row of tiles, two or more columns
    const auto latents = vae->encode(video, {});
    const auto whole = decodeRgb(*vae, latents).to(at::kFloat); // [5, 112, 208, 3]
    const auto tiled = decodeRgb(*vae, latents, tiling).to(at::kFloat);
    REQUIRE((whole.sizes() == tiled.sizes()));
    // Attention looks at one tile only, so tiles may differ a little from the whole.
    MESSAGE("tiled against whole: ", psnr(tiled, whole), " dB");
    CHECK(psnr(tiled, whole) >= 45);
    // A seam would stand out as a column where the step to the next column is unlike the untiled picture's.
    const auto steps = [](const at::Tensor& v) {
        return (v.narrow(2, 1, v.size(2) - 1) - v.narrow(2, 0, v.size(2) - 1));
    };
    const auto perColumn = (steps(tiled) - steps(whole)).abs().mean({0, 1, 3}); // [207]
    double seam = 0;
    const auto spans = tileSpans(26, tiling);
    REQUIRE(spans.size() >= 2);
    for (const auto& span : spans) {
        if (span.middleBehind < 0)
            continue;
        const auto middle = static_cast<std::int64_t>(span.middleBehind * 8);
        seam = std::max(seam, perColumn.narrow(0, middle - 10, 20).max().item<double>());
        // Where the neighbouring tiles begin and end.
        seam = std::max(
            seam, perColumn[std::min<std::int64_t>((span.start + span.length) * 8, 206)].item<double>());
    }
    MESSAGE("largest mean step error at a join ", seam, " grey levels, anywhere ",
            perColumn.max().item<double>());
    CHECK(seam <= 0.5);

    const auto encodedTiled = vae->encode(video, {{}, tiling, {}});
    const double error = (latents - encodedTiled).square().mean().sqrt().item<double>();
    MESSAGE("tiled encoding differs by ", error, " (latents have deviation 1)");
    CHECK(error <= 0.1);
}

TEST_CASE("bfloat16 stays close to float32") {
    const c10::InferenceMode inference;
    const auto folder = starterVaeFolder();
    if (folder.empty()) {
        MESSAGE("skipped: the starter model is not here; set CANOPY_STARTER_DIR to its folder");
        return;
    }
    const auto vae = starterVae(folder);
    const auto latents = vae->encode(smoothVideo(5, 64, 96), {});
    const double decibels =
        psnr(decodeRgb(*vae, latents), decodeRgb(*starterVae(folder, at::kBFloat16), latents));
    MESSAGE("bf16 against fp32: ", decibels, " dB");
    CHECK(decibels >= 38);
}
