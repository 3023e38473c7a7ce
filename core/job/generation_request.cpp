#include "core/job/generation_request.h"

#include <cmath>
#include <limits>
#include <utility>

namespace canopy {
namespace {

/// Names of an enum's values in order, for both directions.
template <typename Enum, std::size_t N>
std::optional<Enum> fromName(const std::string_view (&names)[N], std::string_view name) {
    for (std::size_t i = 0; i < N; ++i)
        if (names[i] == name)
            return static_cast<Enum>(i);
    return std::nullopt;
}

constexpr std::string_view kSamplers[] = {"unipc", "euler"};
constexpr std::string_view kTimeGrids[] = {"original", "diffusers"};
constexpr std::string_view kPrecisions[] = {"auto", "fp32", "bf16"};
constexpr std::string_view kDevices[] = {"cpu", "cuda"};

/// Reads members of one map; keeps the first thing that is wrong. A missing member leaves the field as it is.
class Reader {
public:
    explicit Reader(const Value& map)
        : m_map(map) {}

    void read(std::string_view key, std::string& field) {
        if (const Value* v = member(key, &Value::isString, "a text"))
            field = v->asString();
    }
    void read(std::string_view key, bool& field) {
        if (const Value* v = member(key, &Value::isBool, "true or false"))
            field = v->asBool();
    }
    void read(std::string_view key, double& field) {
        if (const Value* v = member(key, &Value::isNumber, "a number")) {
            if (!std::isfinite(v->asDouble()))
                return fail(key, "a finite number");
            field = v->asDouble();
        }
    }
    void read(std::string_view key, int& field) {
        if (const Value* v = member(key, &Value::isInt, "a whole number")) {
            const std::int64_t n = v->asInt();
            if (n < std::numeric_limits<int>::min() || n > std::numeric_limits<int>::max())
                return fail(key, "a whole number below 2147483648");
            field = static_cast<int>(n);
        }
    }
    void read(std::string_view key, std::uint64_t& field) {
        if (const Value* v = member(key, &Value::isInt, "a whole number")) {
            if (v->asInt() < 0)
                return fail(key, "a whole number that is not negative");
            field = static_cast<std::uint64_t>(v->asInt());
        }
    }
    template <typename Enum, std::size_t N>
    void read(std::string_view key, const std::string_view (&names)[N], Enum& field) {
        if (const Value* v = member(key, &Value::isString, "a text")) {
            if (const auto known = fromName<Enum>(names, v->asString())) {
                field = *known;
                return;
            }
            std::string expected;
            for (std::size_t i = 0; i < N; ++i)
                expected += (i == 0 ? "" : i + 1 == N ? " or " : ", ") + std::string(names[i]);
            fail(key, expected);
        }
    }
    const std::string& problem() const { return m_problem; }

private:
    const Value* member(std::string_view key, bool (Value::*isType)() const, std::string_view expected) {
        const Value& v = m_map[key];
        if (v.isNull())
            return nullptr;
        if (!(v.*isType)()) {
            fail(key, expected);
            return nullptr;
        }
        return &v;
    }
    void fail(std::string_view key, std::string_view expected) {
        if (m_problem.empty())
            m_problem = "The setting \"" + std::string(key) + "\" is not " + std::string(expected) +
                        "; the stored settings are damaged or not from this program.";
    }

    const Value& m_map;
    std::string m_problem;
};

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
    if (!r.imagePixelsPath.empty())
        v.set("image_pixels", r.imagePixelsPath);
    if (!r.resumeLatentsPath.empty())
        v.set("resume_latents", r.resumeLatentsPath);
    return v;
}

Result<GenerationRequest> generationRequestFromValue(const Value& value) {
    if (!value.isMap())
        return makeError(ErrorCode::Malformed,
                         "These settings are not a map of names and values; they are damaged or "
                         "not from this program.");
    if (!value["version"].isInt())
        return makeError(
            ErrorCode::Malformed,
            "These settings do not say their version; they are damaged or not from this program.");
    const std::int64_t version = value["version"].asInt();
    if (version < 1 || version > GenerationRequest::kVersion)
        return makeError(ErrorCode::Unsupported, "These settings are of version " + std::to_string(version) +
                                                     ", this program reads version 1 to " +
                                                     std::to_string(GenerationRequest::kVersion) +
                                                     "; a newer Canopy can read them.");
    GenerationRequest r;
    Reader reader(value);
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
    if (!reader.problem().empty())
        return makeError(ErrorCode::Malformed, reader.problem());
    return r;
}

} // namespace canopy
