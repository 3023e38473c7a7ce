#include "core/job/generation_request.h"

#include <utility>

#include "core/job/setting_reader.h"

namespace canopy {
namespace {

constexpr std::string_view kSamplers[] = {"unipc", "euler"};
constexpr std::string_view kTimeGrids[] = {"original", "diffusers"};
constexpr std::string_view kPrecisions[] = {"auto", "fp32", "bf16"};
constexpr std::string_view kDevices[] = {"cpu", "cuda"};

} // namespace

std::string_view samplerName(Sampler v) {
    return kSamplers[static_cast<std::size_t>(v)];
}
std::string_view timeGridName(TimeGrid v) {
    return kTimeGrids[static_cast<std::size_t>(v)];
}
std::string_view precisionName(Precision v) {
    return kPrecisions[static_cast<std::size_t>(v)];
}
std::string_view deviceName(DeviceKind v) {
    return kDevices[static_cast<std::size_t>(v)];
}
std::optional<Sampler> samplerFromName(std::string_view name) {
    return fromName<Sampler>(kSamplers, name);
}
std::optional<TimeGrid> timeGridFromName(std::string_view name) {
    return fromName<TimeGrid>(kTimeGrids, name);
}
std::optional<Precision> precisionFromName(std::string_view name) {
    return fromName<Precision>(kPrecisions, name);
}
std::optional<DeviceKind> deviceFromName(std::string_view name) {
    return fromName<DeviceKind>(kDevices, name);
}

Value toValue(const GenerationRequest& r) {
    Value v{Value::Map{}};
    v.set("version", GenerationRequest::kVersion);
    v.set("prompt", r.prompt);
    v.set("negative", r.negativePrompt);
    v.set("model", r.modelId);
    v.set("model_path", r.modelPath);
    v.set("image", r.imagePath);
    v.set("width", r.width);
    v.set("height", r.height);
    v.set("frames", r.frames);
    v.set("fps", r.fps);
    v.set("steps", r.steps);
    v.set("guidance", r.guidance);
    v.set("shift", r.shift);
    v.set("seed", r.seed);
    v.set("sampler", samplerName(r.sampler));
    v.set("time_grid", timeGridName(r.timeGrid));
    v.set("precision", precisionName(r.precision));
    v.set("device", deviceName(r.device));
    v.set("threads", r.threads);
    v.set("vae_tiling", r.vaeTiling);
    v.set("memory", r.memoryBudgetGb);
    v.set("noise_scheme", r.noiseScheme);
    v.set("kernel_set", r.kernelSet);
    if (r.attention != AttentionSettings{})
        v.set("attention", toValue(r.attention));
    if (r.chunks != ChunkSettings{})
        v.set("chunks", toValue(r.chunks));
    if (!r.imagePixelsPath.empty())
        v.set("image_pixels", r.imagePixelsPath);
    if (!r.resumeLatentsPath.empty())
        v.set("resume_latents", r.resumeLatentsPath);
    if (!r.resumeStatePath.empty())
        v.set("resume_state", r.resumeStatePath);
    return v;
}

Result<GenerationRequest> generationRequestFromValue(const Value& value) {
    if (auto readable = checkSettingsVersion(value, GenerationRequest::kVersion); !readable)
        return readable.error();
    GenerationRequest r;
    SettingReader reader(value);
    reader.read("prompt", r.prompt);
    reader.read("negative", r.negativePrompt);
    reader.read("model", r.modelId);
    reader.read("model_path", r.modelPath);
    reader.read("image", r.imagePath);
    reader.read("width", r.width);
    reader.read("height", r.height);
    reader.read("frames", r.frames);
    reader.read("fps", r.fps);
    reader.read("steps", r.steps);
    reader.read("guidance", r.guidance);
    reader.read("shift", r.shift);
    reader.read("seed", r.seed);
    reader.read("sampler", kSamplers, r.sampler);
    reader.read("time_grid", kTimeGrids, r.timeGrid);
    reader.read("precision", kPrecisions, r.precision);
    reader.read("device", kDevices, r.device);
    reader.read("threads", r.threads);
    reader.read("vae_tiling", r.vaeTiling);
    reader.read("memory", r.memoryBudgetGb);
    reader.read("noise_scheme", r.noiseScheme);
    reader.read("kernel_set", r.kernelSet);
    reader.read("image_pixels", r.imagePixelsPath);
    reader.read("resume_latents", r.resumeLatentsPath);
    reader.read("resume_state", r.resumeStatePath);
    if (!reader.problem().empty())
        return makeError(ErrorCode::Malformed, reader.problem());
    if (value.contains("attention")) {
        auto attention = attentionSettingsFromValue(value["attention"]);
        if (!attention)
            return attention.error();
        r.attention = *attention;
    }
    if (value.contains("chunks")) {
        auto chunks = chunkSettingsFromValue(value["chunks"]);
        if (!chunks)
            return chunks.error();
        r.chunks = std::move(*chunks);
    }
    return r;
}

} // namespace canopy
