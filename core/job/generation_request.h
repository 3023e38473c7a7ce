#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/job/attention_settings.h"
#include "core/job/chunk_settings.h"

namespace canopy {

enum class Sampler { UniPc, Euler };
/// Which time grid UniPC runs on: the original Wan / SkyReels repositories' or diffusers' (they differ).
enum class TimeGrid { Original, Diffusers };
enum class Precision { Auto, Float32, BFloat16 };
enum class DeviceKind { Cpu, Cuda };

std::string_view samplerName(Sampler v);     ///< "unipc", "euler"
std::string_view timeGridName(TimeGrid v);   ///< "original", "diffusers"
std::string_view precisionName(Precision v); ///< "auto", "fp32", "bf16"
std::string_view deviceName(DeviceKind v);   ///< "cpu", "cuda"
std::optional<Sampler> samplerFromName(std::string_view name);
std::optional<TimeGrid> timeGridFromName(std::string_view name);
std::optional<Precision> precisionFromName(std::string_view name);
std::optional<DeviceKind> deviceFromName(std::string_view name);

/// Everything needed to make a clip and to make it again. Stored in the job table, in the clip and in
/// sessions. A field left at "auto" is filled by the worker before the first step ("resolved once and
/// stored").
struct GenerationRequest {
    static constexpr int kVersion = 1;

    std::string prompt;
    std::string negativePrompt;
    std::string modelId;   ///< family plus short hash, as `canopy-cli models` prints it
    std::string modelPath; ///< folder or file; where modelId was found. Not needed to repeat: the id is.
    std::string imagePath; ///< optional first image; empty = none
    int width = 0;         ///< pixels; 0 = the model's default
    int height = 0;        ///< pixels
    int frames = 0;        ///< 4k + 1
    int fps = 0;
    int steps = 0;
    double guidance =
        -1;            ///< classifier-free guidance; 1 = prompt branch only; negative = the model's default
    double shift = -1; ///< flow shift; negative = the model's default
    std::uint64_t seed = 0; ///< at most 2^63 - 1
    Sampler sampler = Sampler::UniPc;
    TimeGrid timeGrid = TimeGrid::Diffusers;
    Precision precision = Precision::Auto;
    DeviceKind device = DeviceKind::Cpu;
    int threads = 0;           ///< CPU threads; 0 = all the machine's
    bool vaeTiling = false;    ///< spatial tiles with blended seams, less memory
    double memoryBudgetGb = 0; ///< refuse plans above it; 0 = what the machine has free
    AttentionSettings attention;
    ChunkSettings chunks;
    std::string noiseScheme = "torch-cpu-1";
    std::string kernelSet; ///< resolved by the worker ("hopper", "libtorch", "avx512bf16", ...)
    /// The first image as the client decoded and resized it to width x height: a safetensors file with the
    /// tensor "image", uint8 [H, W, 3]. The worker reads no image formats. Never stored.
    std::string imagePixelsPath;
    /// Latents of an earlier, interrupted run of the same request: skip denoising, decode these. Never
    /// stored.
    std::string resumeLatentsPath;
    /// Saved state of an earlier run of the same request (core/job/sampling_point.h): sampling goes on from
    /// it. Never stored.
    std::string resumeStatePath;

    bool operator==(const GenerationRequest&) const = default;
};

/// Map with "version" and one key per field: prompt, negative, model, model_path, image, width, height,
/// frames, fps, steps, guidance, shift, seed, sampler, time_grid, precision, device, threads, vae_tiling,
/// memory, noise_scheme, kernel_set; attention and chunks only when they are not the default, resume_latents
/// and resume_state only when set. A missing key leaves the default; unknown keys are ignored when reading,
/// wrong types are an error.
Value toValue(const GenerationRequest& request);
Result<GenerationRequest> generationRequestFromValue(const Value& value);

/// Latent frames of `frames` pixel frames under a temporal stride of 4: 1 + (frames - 1) / 4.
constexpr int latentFrames(int frames) {
    return frames > 0 ? 1 + (frames - 1) / 4 : 0;
}

/// Tokens that self-attention sees for the whole clip: one per latent frame and 16 x 16 pixels.
constexpr std::int64_t videoTokens(const GenerationRequest& r) {
    return std::int64_t{latentFrames(r.frames)} * (r.width / 16) * (r.height / 16);
}

} // namespace canopy
