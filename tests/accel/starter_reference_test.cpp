// The shipped starter against clips that the diffusers classes made from the same weights in float32.
// CANOPY_STARTER_DIR may name a folder with generator/ and reference/; otherwise the shipped model and
// tests/data/starter are used.

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include <doctest/doctest.h>

#include "accel/pipelines/denoise.h"
#include "accel/pipelines/denoise_chunks.h"
#include "accel/pipelines/generate_video.h"
#include "accel/pipelines/loaded_model.h"
#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/model_scan.h"
#include "core/formats/prompt_clean.h"
#include "tests/support/parity_case.h"

namespace fs = std::filesystem;
using namespace canopy;
using namespace canopy::accel;
using namespace canopy::test;

namespace {

struct Folders {
    fs::path model;
    fs::path references;
};

Folders folders() {
    if (const char* folder = std::getenv("CANOPY_STARTER_DIR"); folder && *folder)
        return {fs::path(folder) / "generator", fs::path(folder) / "reference"};
    const char* source = std::getenv("CANOPY_SOURCE_DIR");
    const fs::path root = source ? source : ".";
    return {root / "resources/models/starter-video", root / "tests/data/starter"};
}

at::Tensor embeds(LoadedModel& model, const std::string& prompt, const at::Tensor& expectedIds) {
    const auto& record = model.record();
    const auto cleaned = cleanPrompt(prompt);
    REQUIRE(cleaned.ok());
    const auto encoded = model.tokenizer().encodePrompt(*cleaned, record.defaults.textLength,
                                                        record.text.eosId, record.text.padId);
    REQUIRE(encoded.ok());
    const std::vector<std::int64_t> ids(encoded->ids.begin(), encoded->ids.end());
    const std::vector<std::int64_t> mask(encoded->mask.begin(), encoded->mask.end());
    expectEqual(at::tensor(ids), expectedIds.reshape({-1}), "token ids of \"" + prompt + "\"");
    return model.textEncoder({}).promptEmbeds(at::tensor(ids), at::tensor(mask), {});
}

/// Relative distance by norm.
double relative(const at::Tensor& ours, const at::Tensor& reference) {
    const auto difference = (ours - reference).to(at::kDouble);
    return difference.norm().item<double>() / reference.to(at::kDouble).norm().item<double>();
}

double psnr(const at::Tensor& ours, const at::Tensor& reference) {
    const auto difference = ours.to(at::kDouble) - reference.to(at::kDouble);
    const double mse = (difference * difference).mean().item<double>();
    return mse == 0 ? 99 : 10 * std::log10(255.0 * 255.0 / mse);
}

/// Final latents of a reference: all of them, or every second row and column where the file is to stay small.
struct StoredLatents {
    at::Tensor values; ///< [16, F, h / stride, w / stride]
    std::int64_t stride = 1;

    double distance(const at::Tensor& latents) const {
        return relative(latents.slice(2, 0, std::nullopt, stride).slice(3, 0, std::nullopt, stride), values);
    }
};

StoredLatents storedLatents(const ParityCase& reference) {
    const auto names = reference.tensorNames();
    const bool thinned = std::find(names.begin(), names.end(), "latents_every_second") != names.end();
    return {reference.tensor(thinned ? "latents_every_second" : "latents")[0], thinned ? 2 : 1};
}

} // namespace

TEST_CASE("the starter's reference clips are reproduced in float32") {
    const c10::InferenceMode inference;
    const auto place = folders();
    const auto record = scanModel(place.model);
    REQUIRE_MESSAGE(record.ok(), record.error().message);
    LoadedModel model(*record, at::kCPU, at::kFloat);
    const auto text = readTextFile(place.references / "reference.json", 1u << 20);
    REQUIRE_MESSAGE(text.ok(), text.error().message);
    const auto clips = parseJson(*text);
    REQUIRE(clips.ok());
    REQUIRE(!clips->asArray().empty());
    for (const auto& clip : clips->asArray()) {
        const std::string name = clip["name"].asString();
        CAPTURE(name);
        const ParityCase reference(place.references, name, clip);
        const auto stored = storedLatents(reference);
        const auto frames = static_cast<int>(stored.values.size(1));
        const auto& dit = model.transformer({});

        Conditioning conditioning;
        conditioning.prompt =
            dit.embedText(embeds(model, clip["prompt"].asString(), reference.tensor("ids")));
        conditioning.negative = dit.embedText(embeds(model, "", reference.tensor("null_ids")));
        conditioning.guidance = clip["guidance"].asDouble();
        conditioning.fpsIndex = static_cast<int>(clip["fps_index"].asInt());

        const auto steps = static_cast<int>(clip["steps"].asInt());
        const double shift = clip["shift"].asDouble();
        const auto sampler = clip["sampler"].asString() == "unipc" ? Sampler::UniPc : Sampler::Euler;
        const auto block = static_cast<int>(clip["block_latent_frames"].asInt());
        const auto plan = block > 0 ? sequentialPlan(sampler, plainSchedule(steps, shift), frames, block)
                                    : synchronousPlan(sampler,
                                                      sampler == Sampler::UniPc
                                                          ? uniPcSchedule(steps, shift, TimeGrid::Diffusers)
                                                          : eulerSchedule(steps, shift),
                                                      frames);
        const auto noise = initialNoise(static_cast<std::uint64_t>(clip["seed"].asInt()),
                                        static_cast<int>(stored.values.size(0)), frames,
                                        static_cast<int>(stored.values.size(2) * stored.stride),
                                        static_cast<int>(stored.values.size(3) * stored.stride));
        auto state = startState(plan, noise.clone());
        denoise(dit, conditioning, plan, state, {}, {}, {});
        const double distance = stored.distance(state.latents);
        MESSAGE(name, ": relative distance of the final latents ", distance);
        CHECK(distance <= 1e-3);
        if (block > 0) {
            ChunkSampling sampling;
            sampling.sampler = sampler;
            sampling.schedule = plan.schedule;
            sampling.chunkFrames = block;
            sampling.plan = forcingChunkPlan({frames, frames, steps, 0, block}, sampling.schedule.timesteps);
            auto chunks = startChunks(dit, sampling, true, noise.clone());
            denoiseChunks(dit, conditioning, sampling, chunks, nullptr, nullptr, {}, {});
            const double cached = stored.distance(chunks.latents);
            MESSAGE(name, ": relative distance from a memory of keys ", cached);
            CHECK(cached <= 1e-3);
        }

        std::vector<at::Tensor> pictures;
        WanVae::DecodeOptions decoding;
        decoding.onFrames = [&](const at::Tensor& rgb) { pictures.push_back(rgb); };
        model.vae({}).decode(state.latents.unsqueeze(0), decoding);
        const auto video = at::cat(pictures); // [T, H, W, 3]
        for (const auto& tensor : reference.tensorNames()) {
            if (!tensor.starts_with("frames_"))
                continue;
            const auto expected = reference.tensor(tensor);
            // "frames_0_8_16": which frames are stored.
            std::vector<std::int64_t> which;
            for (std::size_t at = 6; at != std::string::npos; at = tensor.find('_', at + 1))
                which.push_back(std::stoll(tensor.substr(at + 1)));
            for (std::size_t i = 0; i < which.size(); ++i) {
                // The top left corner, where not all of a frame is stored.
                const auto part = expected[static_cast<std::int64_t>(i)];
                const auto ours = video[which[i]].narrow(0, 0, part.size(0)).narrow(1, 0, part.size(1));
                const double quality = psnr(ours, part);
                MESSAGE(name, " frame ", which[i], ": ", quality, " dB");
                CHECK(quality >= 40);
            }
        }
    }
}
