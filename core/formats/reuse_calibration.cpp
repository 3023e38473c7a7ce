#include "core/formats/reuse_calibration.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/formats/config_reader.h"
#include "core/formats/model_config_json.h"

namespace canopy {

namespace {

bool readPreset(const Value& v, ReuseCalibration::Preset& out) {
    out = {v["wanted"].asDouble(-1), v["hit_rate"].asDouble(-1), v["threshold"].asDouble(-1)};
    const auto share = [](double s) { return s >= 0 && s <= 1; };
    return share(out.wanted) && share(out.hitRate) && std::isfinite(out.threshold) && out.threshold >= 0;
}

} // namespace

Value toValue(const ReuseCalibration& c) {
    Value v{Value::Map{}};
    v.set("version", ReuseCalibration::kVersion).set("model", c.modelId).set("label", c.modelLabel);
    v.set("polynomial", Value::Array(c.polynomial.begin(), c.polynomial.end()));
    v.set("residual", c.residual).set("mean_change", c.meanChange);
    v.set("largest_time_change", c.largestTimeChange);
    v.set("prompts", c.prompts).set("samples", c.samples).set("steps", c.steps).set("warmup", c.warmup);
    v.set("shift", c.shift).set("guidance", c.guidance);
    v.set("width", c.width).set("height", c.height).set("frames", c.frames);
    Value::Array presets;
    for (const auto& preset : c.presets) {
        Value one{Value::Map{}};
        one.set("wanted", preset.wanted).set("hit_rate", preset.hitRate).set("threshold", preset.threshold);
        presets.push_back(std::move(one));
    }
    v.set("presets", std::move(presets));
    return v;
}

Result<ReuseCalibration> reuseCalibrationFromValue(const Value& value) {
    if (!value["version"].isInt() || value["version"].asInt() != ReuseCalibration::kVersion)
        return makeError(ErrorCode::Unsupported,
                         "This is no calibration of reuse of version " +
                             std::to_string(ReuseCalibration::kVersion) +
                             "; make one with canopy-cli calibrate --cache, or update this program");
    ReuseCalibration c;
    ConfigReader r(value);
    std::vector<double> polynomial;
    r.text("model", c.modelId, true);
    r.text("label", c.modelLabel);
    r.list("polynomial", polynomial, c.polynomial.size(), readConfigReal, true);
    r.real("residual", c.residual, true);
    r.real("mean_change", c.meanChange);
    r.real("largest_time_change", c.largestTimeChange);
    r.integer("prompts", c.prompts), r.integer("samples", c.samples);
    r.integer("steps", c.steps), r.integer("warmup", c.warmup);
    r.real("shift", c.shift), r.real("guidance", c.guidance);
    r.integer("width", c.width), r.integer("height", c.height), r.integer("frames", c.frames);
    r.list("presets", c.presets, 16, readPreset);
    if (r.problem())
        return *r.problem();
    const auto finite = [](double x) { return std::isfinite(x); };
    if (polynomial.size() != c.polynomial.size() ||
        !std::all_of(polynomial.begin(), polynomial.end(), finite))
        return wrongConfigValue("polynomial", "five finite numbers");
    for (const double figure : {c.residual, c.meanChange, c.largestTimeChange})
        if (!finite(figure) || figure < 0)
            return wrongConfigValue("residual", "a number of 0 or more, as all figures");
    std::copy(polynomial.begin(), polynomial.end(), c.polynomial.begin());
    return c;
}

Result<ReuseCalibration> readReuseCalibration(const std::filesystem::path& file, const std::string& modelId) {
    const auto json = readConfigFile(file);
    if (!json)
        return json.error();
    auto calibration = reuseCalibrationFromValue(*json);
    if (!calibration)
        return makeError(calibration.error().code, calibration.error().message + ": " + file.string());
    if (calibration->modelId != modelId)
        return makeError(ErrorCode::Mismatch, "The calibration of reuse was made for the model " +
                                                  calibration->modelId + ", and this is " + modelId +
                                                  "; make one for it with canopy-cli calibrate --cache, or "
                                                  "take the file away: " +
                                                  file.string());
    return calibration;
}

} // namespace canopy
