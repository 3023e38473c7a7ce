#include "core/job/sampling_point.h"

#include <charconv>

#include "core/base/value_codec.h"
#include "core/job/setting_reader.h"

namespace canopy {

Value toValue(const SamplingPoint& p) {
    Value v;
    v.set("row", p.row).set("rows", p.rows).set("chunk", p.chunk).set("chunks", p.chunks);
    v.set("step", p.step).set("steps", p.steps).set("exact", p.exact);
    return v;
}

Result<SamplingPoint> samplingPointFromValue(const Value& value) {
    SamplingPoint p;
    SettingReader reader(value);
    reader.read("row", p.row);
    reader.read("rows", p.rows);
    reader.read("chunk", p.chunk);
    reader.read("chunks", p.chunks);
    reader.read("step", p.step);
    reader.read("steps", p.steps);
    reader.read("exact", p.exact);
    if (!reader.problem().empty())
        return makeError(ErrorCode::Malformed, reader.problem());
    if (p.row < 0 || p.row > p.rows || p.chunk < 0 || (p.chunks > 0 && p.chunk >= p.chunks))
        return makeError(ErrorCode::Malformed, "The saved state stands at no step of its clip.");
    return p;
}

std::string pointWords(const SamplingPoint& p) {
    const auto of = [](const char* what, int n, int all) {
        return std::string(what) + std::to_string(n < all ? n + 1 : all) + " of " + std::to_string(all);
    };
    std::string words = of("step ", p.row, p.rows);
    if (p.chunks > 0)
        words += " (" + of("block ", p.chunk, p.chunks) + of(", its step ", p.step, p.steps) + ")";
    return words;
}

std::string stateIdentity(const GenerationRequest& request) {
    GenerationRequest r = request;
    r.modelPath.clear();
    r.imagePath.clear();
    r.imagePixelsPath.clear();
    r.resumeLatentsPath.clear();
    r.resumeStatePath.clear();
    r.chunks.basePath.clear();
    r.kernelSet.clear();
    r.threads = 0;
    r.memoryBudgetGb = 0;
    r.vaeTiling = false;
    r.device = DeviceKind::Cpu;
    return toJson(toValue(r));
}

Result<SamplingPoint> statePoint(const SafetensorsHeader& header) {
    const auto text = [&](std::string_view key) {
        const auto found = header.metadata.find(key);
        return found == header.metadata.end() ? std::string() : found->second;
    };
    const std::string version = text(kStateVersionKey);
    int number = 0;
    if (version.empty() ||
        std::from_chars(version.data(), version.data() + version.size(), number).ec != std::errc())
        return makeError(ErrorCode::Malformed, "The file is no saved state of a clip.");
    if (number != kStateVersion)
        return makeError(ErrorCode::Unsupported, "The saved state is of version " + version +
                                                     "; this program reads version " +
                                                     std::to_string(kStateVersion) +
                                                     ". Go on with the Canopy that saved it, or start anew.");
    const auto point = parseJson(text(kStatePointKey));
    if (!point)
        return makeError(ErrorCode::Malformed,
                         "The saved state does not say where it stands: " + point.error().message);
    return samplingPointFromValue(*point);
}

} // namespace canopy
