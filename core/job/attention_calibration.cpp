#include "core/job/attention_calibration.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/job/setting_reader.h"

namespace canopy {
namespace {

constexpr std::string_view kProcedures[] = {"error", "profile"};
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{64} << 20;
constexpr std::size_t kMaxLayers = 1024, kMaxHeads = 1024, kMaxCandidates = 64;

std::string number(double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.10g", v);
    return text;
}

template <typename Get>
Value table(const AttentionCalibration& c, Get get) {
    Value::Array layers;
    for (const auto& heads : c.heads) {
        Value::Array row;
        for (const CalibratedHead& head : heads)
            row.push_back(get(head));
        layers.emplace_back(std::move(row));
    }
    return layers;
}

template <typename Get>
Value perCandidate(const CalibratedHead& head, Get get) {
    Value::Array list;
    for (const HeadCandidate& candidate : head.candidates)
        list.push_back(get(candidate));
    return list;
}

Value numbers(const auto& list) {
    return Value::Array(list.begin(), list.end());
}

/// Takes a calibration out of a map; keeps the first thing that is wrong.
class CalibrationReader {
public:
    explicit CalibrationReader(const Value& value)
        : m_value(value) {}

    Result<AttentionCalibration> read() {
        if (!m_value.isMap())
            return wrong("the file holds no JSON object");
        if (auto readable = checkSettingsVersion(m_value, AttentionCalibration::kVersion); !readable)
            return readable.error();
        header();
        if (m_problem.empty())
            tables();
        if (m_problem.empty())
            check();
        if (!m_problem.empty())
            return wrong(m_problem);
        return std::move(m_out);
    }

private:
    static Error wrong(const std::string& what) {
        return makeError(ErrorCode::Malformed,
                         "The thresholds cannot be used: " + what +
                             ". Make them anew with 'canopy-cli calibrate', or choose another file.");
    }
    void fail(std::string what) {
        if (m_problem.empty())
            m_problem = std::move(what);
    }
    const Value& member(std::string_view key) {
        if (!m_value.contains(key))
            fail("\"" + std::string(key) + "\" is missing");
        return m_value[key];
    }

    void header() {
        for (const char* key : {"version", "model", "model_label", "width", "height", "frames", "steps",
                                "shift", "guidance", "seed", "prompts", "prompts_hash", "procedure", "paper",
                                "grid", "weights", "s_min", "lambda", "gap"})
            member(key);
        SettingReader reader(m_value);
        reader.read("model", m_out.modelId);
        reader.read("model_label", m_out.modelLabel);
        reader.read("width", m_out.width);
        reader.read("height", m_out.height);
        reader.read("frames", m_out.frames);
        reader.read("steps", m_out.steps);
        reader.read("shift", m_out.shift);
        reader.read("guidance", m_out.guidance);
        reader.read("seed", m_out.seed);
        reader.read("prompts", m_out.prompts);
        reader.read("prompts_hash", m_out.promptsHash);
        reader.read("procedure", kProcedures, m_out.procedure);
        reader.read("paper", paperVersionFromName, m_out.paper);
        reader.read("grid", m_out.grid);
        reader.read("s_min", m_out.budget);
        reader.read("lambda", m_out.lambda);
        reader.read("gap", m_out.gap);
        std::vector<double> weights;
        reader.read("weights", weights);
        if (!reader.problem().empty())
            return fail("one of its settings is wrong (" + reader.problem() + ")");
        if (weights.size() != kErrorBands)
            return fail("\"weights\" has " + std::to_string(weights.size()) + " numbers instead of 4");
        std::copy(weights.begin(), weights.end(), m_out.weights.begin());
        if (const Value& tokens = member("tokens"); tokens.isInt())
            m_out.tokens = tokens.asInt();
        else
            fail("\"tokens\" is not a whole number");
        m_out.realisedSparsity = optionalShare("realised_mean");
        m_out.realisedSharedSparsity = optionalShare("realised_shared_mean");
        const auto host = attentionSettingsFromValue(member("host"));
        if (!host)
            return fail("its host's settings are wrong (" + host.error().message + ")");
        m_out.host = *host;
    }

    std::optional<double> optionalShare(std::string_view key) {
        if (!m_value.contains(key))
            return std::nullopt;
        return share(m_value[key], key);
    }
    double share(const Value& v, std::string_view key) {
        if (!v.isNumber() || !(v.asDouble() >= 0 && v.asDouble() <= 1))
            fail("\"" + std::string(key) + "\" holds something that is no share from 0 to 1");
        return v.asDouble();
    }
    double errorOf(const Value& v, std::string_view key) {
        if (!v.isNumber() || !std::isfinite(v.asDouble()) || v.asDouble() < 0)
            fail("\"" + std::string(key) + "\" holds something that is no number from 0 up");
        return v.asDouble();
    }
    /// The entry of a table at [layer][head], which must be of the shape of "tau".
    const Value& entry(std::string_view key, std::size_t layer, std::size_t head) {
        const auto& layers = m_value[key].asArray();
        if (layers.size() != m_out.heads.size() ||
            layers[layer].asArray().size() != m_out.heads[layer].size()) {
            fail("the table \"" + std::string(key) + "\" is not of the size of \"tau\"");
            return m_null;
        }
        return layers[layer].asArray()[head];
    }

    void tables() {
        for (const char* key : {"tau", "s", "e", "e_band", "sample"})
            if (!member(key).isArray())
                return fail("\"" + std::string(key) + "\" is no table");
        const auto& tau = m_value["tau"].asArray();
        const std::size_t heads = tau.empty() ? 0 : tau.front().asArray().size();
        if (tau.empty() || heads == 0 || tau.size() > kMaxLayers || heads > kMaxHeads)
            return fail("\"tau\" is empty or has more than 1024 layers or heads");
        for (const Value& row : tau)
            if (row.asArray().size() != heads)
                return fail("the layers of \"tau\" have different numbers of heads");
        m_out.heads.assign(tau.size(), std::vector<CalibratedHead>(heads));
        for (std::size_t l = 0; l < tau.size() && m_problem.empty(); ++l)
            for (std::size_t h = 0; h < heads && m_problem.empty(); ++h)
                readHead(l, h);
    }

    void readHead(std::size_t l, std::size_t h) {
        CalibratedHead& head = m_out.heads[l][h];
        head.tau = share(entry("tau", l, h), "tau");
        if (m_value.contains("realised"))
            head.realisedSparsity = share(entry("realised", l, h), "realised");
        const Value& sample = entry("sample", l, h);
        SettingReader reader(sample);
        reader.read("prompt", head.sample.prompt);
        reader.read("steps", head.sample.steps);
        if (!reader.problem().empty() || !sample.contains("prompt") || head.sample.steps.empty())
            return fail("\"sample\" names no prompt and steps for every head");
        for (const int step : head.sample.steps)
            if (step < 0 || step >= m_out.steps)
                return fail("\"sample\" names a step that the clip has not");
        if (head.sample.prompt < 0 || head.sample.prompt >= m_out.prompts)
            return fail("\"sample\" names a prompt that is not among the " + std::to_string(m_out.prompts));
        const Value& sparsity = entry("s", l, h);
        const Value& error = entry("e", l, h);
        const Value& bands = entry("e_band", l, h);
        const std::size_t count = sparsity.asArray().size();
        const bool measuresErrors = m_out.procedure == CalibrationProcedure::Error;
        const std::size_t errors = measuresErrors ? count : 0;
        if (count == 0 || count > kMaxCandidates || count != (measuresErrors ? m_out.grid.size() : 1) ||
            error.asArray().size() != errors || bands.asArray().size() != errors)
            return fail("\"s\", \"e\" and \"e_band\" do not have one entry for each candidate threshold");
        for (std::size_t k = 0; k < count; ++k) {
            HeadCandidate candidate;
            candidate.sparsity = share(sparsity.asArray()[k], "s");
            if (measuresErrors) {
                candidate.error = errorOf(error.asArray()[k], "e");
                const auto& four = bands.asArray()[k].asArray();
                if (four.size() != kErrorBands)
                    return fail("\"e_band\" does not hold four bands for each candidate");
                for (std::size_t q = 0; q < kErrorBands; ++q)
                    candidate.bandError[q] = errorOf(four[q], "e_band");
            }
            head.candidates.push_back(candidate);
        }
    }

    void check() {
        const AttentionCalibration& c = m_out;
        if (c.host.method != AttentionMethod::XAttention && c.host.method != AttentionMethod::Svg2)
            return fail("its host is \"" + std::string(attentionMethodName(c.host.method)) +
                        "\", which has no thresholds; expected xattention or svg2");
        if (const auto problems = checkAttention(c.host, c.tokens, std::max(c.steps, 1)); !problems.empty())
            return fail("its host's settings are wrong: " + problems.front());
        if (c.tokens < 1 || c.steps < 1 || c.prompts < 1)
            return fail("tokens, steps and prompts must be 1 or more");
        if (!(c.budget >= 0 && c.budget <= 1) || !(c.lambda >= 0) || !(c.gap >= 0))
            return fail("\"s_min\", \"lambda\" or \"gap\" is out of range");
        if (c.procedure == CalibrationProcedure::Profile)
            return;
        if (c.grid.empty() || !std::is_sorted(c.grid.begin(), c.grid.end(), std::less_equal<>{}) ||
            !(c.grid.front() > 0 && c.grid.back() <= 1))
            return fail("\"grid\" does not hold rising thresholds above 0, at most 1");
        for (std::size_t l = 0; l < c.heads.size(); ++l)
            for (std::size_t h = 0; h < c.heads[l].size(); ++h)
                if (std::find(c.grid.begin(), c.grid.end(), c.heads[l][h].tau) == c.grid.end())
                    return fail("the threshold of layer " + std::to_string(l + 1) + ", head " +
                                std::to_string(h + 1) + " (" + number(c.heads[l][h].tau) +
                                ") is not in \"grid\"");
    }

    const Value& m_value;
    const Value m_null;
    AttentionCalibration m_out;
    std::string m_problem;
};

} // namespace

std::string_view calibrationProcedureName(CalibrationProcedure v) {
    return kProcedures[static_cast<std::size_t>(v)];
}

double AttentionCalibration::predictedSparsity(int layer, int head) const {
    const CalibratedHead& h = heads.at(static_cast<std::size_t>(layer)).at(static_cast<std::size_t>(head));
    if (procedure == CalibrationProcedure::Profile)
        return h.candidates.at(0).sparsity;
    const auto at = std::find(grid.begin(), grid.end(), h.tau) - grid.begin();
    return h.candidates.at(static_cast<std::size_t>(at)).sparsity;
}

double AttentionCalibration::predictedSparsity() const {
    double sum = 0;
    for (int l = 0; l < layerCount(); ++l)
        for (int h = 0; h < headCount(); ++h)
            sum += predictedSparsity(l, h);
    return sum / std::max(1, layerCount() * headCount());
}

std::vector<std::vector<double>> AttentionCalibration::thresholds() const {
    std::vector<std::vector<double>> tau;
    for (const auto& row : heads) {
        tau.emplace_back();
        for (const CalibratedHead& head : row)
            tau.back().push_back(head.tau);
    }
    return tau;
}

Value toValue(const AttentionCalibration& c) {
    Value v{Value::Map{}};
    v.set("version", AttentionCalibration::kVersion);
    v.set("model", c.modelId).set("model_label", c.modelLabel).set("host", toValue(c.host));
    v.set("width", c.width).set("height", c.height).set("frames", c.frames).set("tokens", c.tokens);
    v.set("steps", c.steps).set("shift", c.shift).set("guidance", c.guidance).set("seed", c.seed);
    v.set("prompts", c.prompts).set("prompts_hash", c.promptsHash);
    v.set("procedure", calibrationProcedureName(c.procedure)).set("paper", paperVersionName(c.paper));
    v.set("grid", numbers(c.grid)).set("weights", numbers(c.weights));
    v.set("s_min", c.budget).set("lambda", c.lambda).set("gap", c.gap);
    if (c.realisedSparsity)
        v.set("realised_mean", *c.realisedSparsity);
    if (c.realisedSharedSparsity)
        v.set("realised_shared_mean", *c.realisedSharedSparsity);
    const bool measuresErrors = c.procedure == CalibrationProcedure::Error;
    v.set("tau", table(c, [](const CalibratedHead& h) { return Value(h.tau); }));
    v.set("s", table(c, [](const CalibratedHead& h) {
              return perCandidate(h, [](const HeadCandidate& k) { return Value(k.sparsity); });
          }));
    v.set("e", table(c, [&](const CalibratedHead& h) {
              return measuresErrors ? perCandidate(h, [](const HeadCandidate& k) { return Value(k.error); })
                                    : Value(Value::Array{});
          }));
    v.set("e_band", table(c, [&](const CalibratedHead& h) {
              return measuresErrors
                         ? perCandidate(h, [](const HeadCandidate& k) { return numbers(k.bandError); })
                         : Value(Value::Array{});
          }));
    v.set("sample", table(c, [](const CalibratedHead& h) {
              return Value{Value::Map{}}.set("prompt", h.sample.prompt).set("steps", numbers(h.sample.steps));
          }));
    if (c.realisedSparsity)
        v.set("realised",
              table(c, [](const CalibratedHead& h) { return Value(h.realisedSparsity.value_or(0)); }));
    return v;
}

Result<AttentionCalibration> attentionCalibrationFromValue(const Value& value) {
    return CalibrationReader(value).read();
}

Result<AttentionCalibration> readAttentionCalibration(const std::filesystem::path& file) {
    const auto withFile = [&](const Error& error) {
        return makeError(error.code, error.message + " File: " + file.string());
    };
    const auto text = readTextFile(file, kMaxFileBytes);
    if (!text)
        return text.error();
    CodecLimits limits;
    limits.maxBytes = kMaxFileBytes;
    const auto value = parseJson(*text, limits);
    if (!value)
        return withFile(
            makeError(ErrorCode::Malformed, "The thresholds cannot be used: " + value.error().message));
    auto calibration = attentionCalibrationFromValue(*value);
    if (!calibration)
        return withFile(calibration.error());
    return calibration;
}

Result<void> writeAttentionCalibration(const AttentionCalibration& c, const std::filesystem::path& file) {
    return writeFileAtomically(file, toJson(toValue(c)) + '\n');
}

std::vector<std::string> calibrationProblems(const AttentionCalibration& c, const AttentionSettings& asked,
                                             const CalibrationUse& use) {
    std::vector<std::string> problems;
    const std::string again = " Make thresholds for it with 'canopy-cli calibrate'.";
    if (c.modelId != use.modelId)
        problems.push_back("The thresholds were made for the model " + c.modelId + " and this is " +
                           use.modelId + "." + again);
    else if (c.layerCount() != use.layers || c.headCount() != use.heads)
        problems.push_back("The thresholds are of " + std::to_string(c.layerCount()) + " layers of " +
                           std::to_string(c.headCount()) + " heads and the model has " +
                           std::to_string(use.layers) + " of " + std::to_string(use.heads) + "." + again);
    if (c.tokens != use.tokens)
        problems.push_back("The thresholds were made for " + std::to_string(c.width) + "x" +
                           std::to_string(c.height) + " and " + std::to_string(c.frames) + " frames (" +
                           std::to_string(c.tokens) + " video tokens); this clip has " +
                           std::to_string(use.tokens) +
                           " video tokens. Choose that size or make thresholds "
                           "for this one with 'canopy-cli calibrate'.");
    const auto differs = [&](const std::string& what, double here, double there) {
        if (here != there)
            problems.push_back("The thresholds were made with " + what + " " + number(there) +
                               " and these settings have " + number(here) + "; the two must be equal.");
    };
    if (asked.method != c.host.method) {
        problems.push_back("The thresholds were made for the attention " +
                           std::string(attentionMethodName(c.host.method)) + " and these settings have " +
                           std::string(attentionMethodName(asked.method)) + "; the two must be equal.");
    } else if (asked.method == AttentionMethod::XAttention) {
        differs("stride", asked.stride, c.host.stride);
    } else {
        differs("query clusters", asked.queryClusters, c.host.queryClusters);
        differs("key clusters", asked.keyClusters, c.host.keyClusters);
        differs("a least share of clusters of", asked.minimumShare, c.host.minimumShare);
    }
    return problems;
}

} // namespace canopy
