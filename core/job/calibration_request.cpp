#include "core/job/calibration_request.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/job/setting_reader.h"
#include "core/job/settings_schema.h"

namespace canopy {
namespace {

constexpr std::string_view kProcedures[] = {"error", "profile"};
constexpr std::size_t kMaxPrompts = 1000;
constexpr int kIntervals = 4;

/// splitmix64 (Steele et al. 2014): well mixed numbers from a counter, the same on every machine.
std::uint64_t mixed(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

} // namespace

Value toValue(const HeadMeasurement& m) {
    Value v{Value::Map{}};
    v.set("layer", m.layer).set("head", m.head).set("step", m.step).set("profile_tau", m.profileTau);
    v.set("sparsity", Value::Array(m.sparsity.begin(), m.sparsity.end()));
    Value::Array bands;
    for (const auto& four : m.bandError)
        bands.emplace_back(Value::Array(four.begin(), four.end()));
    v.set("band_error", std::move(bands));
    return v;
}

Result<HeadMeasurement> headMeasurementFromValue(const Value& value) {
    HeadMeasurement m;
    SettingReader reader(value);
    std::vector<std::vector<double>> bands;
    reader.read("layer", m.layer);
    reader.read("head", m.head);
    reader.read("step", m.step);
    reader.read("profile_tau", m.profileTau);
    reader.read("sparsity", m.sparsity);
    reader.read("band_error", bands);
    bool fits = value.contains("step") && !m.sparsity.empty() && reader.problem().empty();
    for (const auto& four : bands) {
        fits = fits && four.size() == kErrorBands;
        if (fits)
            std::copy(four.begin(), four.end(), m.bandError.emplace_back().begin());
    }
    if (!fits)
        return makeError(ErrorCode::Malformed, "A measurement of a head is damaged. Start the calibration "
                                               "anew, or use a window and engine of one version.");
    return m;
}

Value toValue(const CalibrationRequest& r) {
    Value v{Value::Map{}};
    v.set("version", CalibrationRequest::kVersion).set("clip", toValue(r.clip));
    v.set("prompts", Value::Array(r.prompts.begin(), r.prompts.end()));
    v.set("procedure", calibrationProcedureName(r.procedure)).set("paper", paperVersionName(r.paper));
    v.set("grid", Value::Array(r.grid.begin(), r.grid.end()));
    v.set("measured", Value::Array(r.measured.begin(), r.measured.end()));
    return v;
}

Result<CalibrationRequest> calibrationRequestFromValue(const Value& value) {
    if (auto readable = checkSettingsVersion(value, CalibrationRequest::kVersion); !readable)
        return readable.error();
    CalibrationRequest r;
    auto clip = generationRequestFromValue(value["clip"]);
    if (!clip)
        return clip.error();
    r.clip = std::move(*clip);
    SettingReader reader(value);
    reader.read("prompts", r.prompts);
    reader.read("procedure", kProcedures, r.procedure);
    reader.read("paper", paperVersionFromName, r.paper);
    reader.read("grid", r.grid);
    reader.read("measured", r.measured);
    if (!reader.problem().empty())
        return makeError(ErrorCode::Malformed, reader.problem());
    return r;
}

CalibrationRequest withModelDefaults(CalibrationRequest r, const ModelDefaults& defaults) {
    if (r.paper == PaperVersion::V1 && r.clip.attention.warmup < 0)
        r.clip.attention.warmup = 0;
    r.clip = withModelDefaults(std::move(r.clip), defaults);
    return r;
}

std::vector<std::string> checkCalibration(const CalibrationRequest& r, const ModelRecord& model) {
    std::vector<std::string> problems;
    const AttentionSettings& host = r.clip.attention;
    if (host.method != AttentionMethod::XAttention && host.method != AttentionMethod::Svg2)
        problems.push_back("The attention \"" + std::string(attentionMethodName(host.method)) +
                           "\" has no thresholds to calibrate; choose xattention or svg2.");
    else if (r.procedure == CalibrationProcedure::Profile && host.method != AttentionMethod::XAttention)
        problems.push_back("The one-pass profile reads XAttention's estimate; choose xattention, or the "
                           "procedure \"error\" for svg2.");
    if (!host.headTau.empty())
        problems.push_back("Thresholds per head were given to a calibration, which finds them; leave them "
                           "out.");
    if (r.prompts.empty())
        problems.push_back("There is no prompt to measure on; give at least one.");
    else if (r.prompts.size() > kMaxPrompts)
        problems.push_back(std::to_string(r.prompts.size()) + " prompts were given; at most " +
                           std::to_string(kMaxPrompts) + " are used.");
    if (r.procedure == CalibrationProcedure::Error) {
        const bool rising = !r.grid.empty() && r.grid.size() <= 64 &&
                            std::is_sorted(r.grid.begin(), r.grid.end(), std::less_equal<>{}) &&
                            r.grid.front() > 0 && r.grid.back() <= 1;
        if (!rising)
            problems.push_back("The candidate thresholds are not rising numbers above 0, at most 1.");
        else if (std::find(r.grid.begin(), r.grid.end(), host.tau) == r.grid.end())
            problems.push_back("The shared threshold, whose sparsity is the budget, is not among the "
                               "candidates; choose one of them.");
    }
    if (r.measured.size() % 3 != 0)
        problems.push_back("The list of what was measured before is damaged; start the calibration anew.");
    GenerationRequest clip = r.clip;
    for (const std::string& prompt : r.prompts) {
        clip.prompt = prompt;
        for (std::string& sentence : checkRequest(clip, model))
            if (std::find(problems.begin(), problems.end(), sentence) == problems.end())
                problems.push_back(std::move(sentence));
    }
    return problems;
}

std::vector<std::vector<HeadSample>> calibrationSamples(int layers, int heads, int prompts, int steps,
                                                        int warmup, std::uint64_t seed) {
    const auto count = static_cast<std::size_t>(layers) * static_cast<std::size_t>(heads);
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; ++i)
        order[i] = i;
    std::uint64_t counter = mixed(seed);
    for (std::size_t i = count; i > 1; --i) // Fisher-Yates
        std::swap(order[i - 1], order[mixed(++counter) % i]);
    std::vector<std::vector<HeadSample>> samples(static_cast<std::size_t>(layers),
                                                 std::vector<HeadSample>(static_cast<std::size_t>(heads)));
    for (std::size_t rank = 0; rank < count; ++rank) {
        const auto layer = order[rank] / static_cast<std::size_t>(heads);
        HeadSample& sample = samples[layer][order[rank] % static_cast<std::size_t>(heads)];
        sample.prompt = static_cast<int>(rank % static_cast<std::size_t>(prompts));
        for (int i = 0; i < kIntervals; ++i) {
            const int first = std::max(warmup, i * steps / kIntervals);
            const int end = (i + 1) * steps / kIntervals;
            if (first < end)
                sample.steps.push_back(
                    first + static_cast<int>(mixed(++counter) % static_cast<std::uint64_t>(end - first)));
        }
    }
    return samples;
}

} // namespace canopy
