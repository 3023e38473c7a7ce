#include "core/studio/speed_record.h"

#include <algorithm>
#include <cmath>
#include <system_error>

#include "core/base/files.h"
#include "core/base/value_codec.h"

namespace canopy {
namespace {

constexpr std::uint64_t kMaxBytes = 4 << 20;
constexpr std::size_t kMaxRecords = 256;

double seconds(const Value& v, std::string_view key) {
    const double s = v[key].asDouble(-1);
    return std::isfinite(s) && s >= 0 ? s : -1;
}

Error damaged(const char* what) {
    return makeError(ErrorCode::Malformed,
                     std::string("The file of measured speeds has no valid ") + what + "; measure again.");
}

} // namespace

const StopLikeness* SpeedRecord::likenessOf(std::string_view stop) const {
    for (const StopLikeness& l : likeness)
        if (l.stop == stop)
            return &l;
    return nullptr;
}

SpeedKey speedKeyOf(const GenerationRequest& r, const std::string& machine) {
    return {r.modelId, machine, r.device, r.precision, r.threads, r.vaeTiling};
}

Value toValue(const SpeedRecord& r) {
    Value v;
    v.set("version", SpeedRecord::kVersion).set("model", r.key.modelId).set("machine", r.key.machine);
    v.set("device", deviceName(r.key.device)).set("precision", precisionName(r.key.precision));
    v.set("threads", r.key.threads).set("vae_tiling", r.key.vaeTiling).set("kernel_set", r.kernelSet);
    v.set("measured_millis", r.measuredMillis).set("load_seconds", r.loadSeconds);
    Value samples(Value::Array{}), likeness(Value::Array{});
    for (const SpeedSample& s : r.samples) {
        Value one;
        one.set("stop", s.stop).set("tokens", s.tokens).set("pixels", s.pixels).set("branches", s.branches);
        one.set("steps", s.steps).set("dense_steps", s.denseSteps);
        one.set("dense_step_seconds", s.denseStepSeconds).set("sparse_step_seconds", s.sparseStepSeconds);
        one.set("rest_seconds", s.restSeconds);
        samples.push(std::move(one));
    }
    for (const StopLikeness& l : r.likeness) {
        Value one;
        one.set("stop", l.stop).set("identical", l.identical).set("psnr", l.psnr).set("ssim", l.ssim);
        one.set("tokens", l.tokens).set("steps", l.steps);
        likeness.push(std::move(one));
    }
    v.set("samples", std::move(samples)).set("likeness", std::move(likeness));
    return v;
}

Result<SpeedRecord> speedRecordFromValue(const Value& v) {
    if (v["version"].asInt() != SpeedRecord::kVersion)
        return damaged("version");
    SpeedRecord r;
    const auto device = deviceFromName(v["device"].asString());
    const auto precision = precisionFromName(v["precision"].asString());
    if (!device || !precision || v["model"].asString().empty())
        return damaged("key");
    r.key = {v["model"].asString(),
             v["machine"].asString(),
             *device,
             *precision,
             static_cast<int>(std::clamp<std::int64_t>(v["threads"].asInt(), 0, 4096)),
             v["vae_tiling"].asBool()};
    r.kernelSet = v["kernel_set"].asString();
    r.measuredMillis = v["measured_millis"].asInt();
    r.loadSeconds = std::max(0.0, seconds(v, "load_seconds"));
    for (const Value& one : v["samples"].asArray()) {
        SpeedSample s;
        s.stop = one["stop"].asString();
        s.tokens = one["tokens"].asInt();
        s.pixels = one["pixels"].asInt();
        s.branches = static_cast<int>(std::clamp<std::int64_t>(one["branches"].asInt(), 0, 3));
        s.steps = static_cast<int>(std::clamp<std::int64_t>(one["steps"].asInt(), 0, 10'000));
        s.denseSteps = static_cast<int>(std::clamp<std::int64_t>(one["dense_steps"].asInt(), 0, s.steps));
        s.denseStepSeconds = seconds(one, "dense_step_seconds");
        s.sparseStepSeconds = seconds(one, "sparse_step_seconds");
        s.restSeconds = seconds(one, "rest_seconds");
        if (s.stop.empty() || s.tokens < 1 || s.pixels < 1 || s.branches < 1 || s.steps < 1 ||
            s.denseStepSeconds < 0 || s.sparseStepSeconds < 0 || s.restSeconds < 0)
            return damaged("samples");
        r.samples.push_back(std::move(s));
    }
    for (const Value& one : v["likeness"].asArray()) {
        StopLikeness l;
        l.stop = one["stop"].asString();
        l.identical = one["identical"].asBool();
        l.psnr = one["psnr"].asDouble();
        l.ssim = one["ssim"].asDouble();
        l.tokens = one["tokens"].asInt();
        l.steps = static_cast<int>(std::clamp<std::int64_t>(one["steps"].asInt(), 0, 10'000));
        r.likeness.push_back(std::move(l));
    }
    return r;
}

Result<std::vector<SpeedRecord>> readSpeedRecords(const std::filesystem::path& file) {
    std::error_code ec;
    if (!std::filesystem::exists(file, ec))
        return std::vector<SpeedRecord>();
    const auto text = readTextFile(file, kMaxBytes);
    if (!text)
        return text.error();
    CodecLimits limits;
    limits.maxBytes = kMaxBytes;
    const auto value = parseJson(*text, limits);
    if (!value)
        return makeError(value.error().code,
                         "The file of measured speeds cannot be read; measure again. " + file.string());
    std::vector<SpeedRecord> records;
    for (const Value& one : (*value)["records"].asArray()) {
        auto record = speedRecordFromValue(one);
        if (!record)
            return makeError(record.error().code, record.error().message + " " + file.string());
        records.push_back(std::move(*record));
    }
    return records;
}

Result<void> storeSpeedRecord(const std::filesystem::path& file, const SpeedRecord& record) {
    std::vector<SpeedRecord> records;
    if (auto before = readSpeedRecords(file))
        records = std::move(*before);
    std::erase_if(records, [&](const SpeedRecord& r) { return r.key == record.key; });
    records.push_back(record);
    if (records.size() > kMaxRecords) // the oldest go
        records.erase(records.begin(), records.end() - kMaxRecords);
    Value list(Value::Array{});
    for (const SpeedRecord& r : records)
        list.push(toValue(r));
    Value v;
    v.set("version", 1).set("records", std::move(list));
    return writeFileAtomically(file, toJson(v, 1) + "\n");
}

} // namespace canopy
