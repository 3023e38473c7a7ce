#include "core/evaluation/study_grid.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/evaluation/prompt_set.h"
#include "core/job/own_reuse.h"
#include "core/job/settings_schema.h"

namespace canopy::evaluation {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{16} << 20;
constexpr std::size_t kMaxArms = 256, kMaxPrompts = 10'000, kMaxSeeds = 1000;

Error malformed(const std::string& what) {
    return makeError(ErrorCode::Malformed, "The study cannot be read: " + what + ".");
}

Result<Value> readJson(const std::filesystem::path& file) {
    const auto text = readTextFile(file, kMaxBytes);
    if (!text)
        return text.error();
    CodecLimits limits;
    limits.maxBytes = kMaxBytes;
    auto value = parseJson(*text, limits);
    if (!value)
        return malformed(value.error().message + " File: " + file.string());
    return value;
}

/// The first key that is in `map` and in no list.
std::string strangeKey(const Value& map, const std::set<std::string_view>& known) {
    for (const auto& [key, value] : map.asMap())
        if (!known.contains(key))
            return key;
    return {};
}

/// The first setting that reading `map` as a request leaves without effect.
std::string unreadSetting(const Value& map, const GenerationRequest& request) {
    const Value written = toValue(request);
    for (const auto& [key, value] : map.asMap())
        if (!written.contains(key) && findSetting(key) == nullptr && key != "attention" && key != "chunks")
            return key;
    const std::pair<std::string, Value> parts[] = {{"attention", toValue(request.attention)},
                                                   {"chunks", toValue(request.chunks)}};
    for (const auto& [part, known] : parts)
        for (const auto& [key, value] : map[part].asMap())
            if (!known.contains(key))
                return part + "." + key;
    return {};
}

class GridReader {
public:
    GridReader(const std::filesystem::path& file, const Value& overrides,
               const std::filesystem::path& promptFile)
        : m_folder(std::filesystem::absolute(file).parent_path())
        , m_overrides(overrides)
        , m_promptFile(promptFile.empty() ? promptFile : std::filesystem::absolute(promptFile)) {}

    Result<StudyGrid> read(const Value& v) {
        if (!v.isMap() || v["version"].asInt() != 1)
            return malformed("it is no JSON object with \"version\": 1");
        if (const auto key = strangeKey(
                v, {"version", "title", "model", "prompts", "seeds", "repeats", "base", "reference", "arms"});
            !key.empty())
            return malformed("the key \"" + key + "\" is not known");
        m_grid.title = v["title"].asString();
        m_grid.model = v["model"].asString();
        m_grid.repeats = static_cast<int>(std::clamp<std::int64_t>(v["repeats"].asInt(1), 1, 1000));
        if (auto done = prompts(m_promptFile.empty() ? v["prompts"] : Value(m_promptFile.string())); !done)
            return done.error();
        if (auto done = seeds(v["seeds"]); !done)
            return done.error();
        if (auto done = arms(v); !done)
            return done.error();
        return std::move(m_grid);
    }

private:
    Result<void> prompts(const Value& v) {
        if (v.isString()) {
            const auto file = m_folder / v.asString();
            if (file.extension() == ".txt") {
                const auto lines = readPromptSet(file);
                if (!lines)
                    return lines.error();
                for (const std::string& line : *lines)
                    m_grid.prompts.push_back({line, {}, {}});
                return {};
            }
            const auto list = readJson(file);
            return list ? promptList(*list, file.parent_path()) : list.error();
        }
        return promptList(v, m_folder);
    }

    Result<void> promptList(const Value& list, const std::filesystem::path& folder) {
        if (list.asArray().empty() || list.asArray().size() > kMaxPrompts)
            return malformed("\"prompts\" is no list of 1 to 10000 prompts");
        for (const Value& item : list.asArray()) {
            StudyPrompt p;
            p.prompt = item.isString() ? item.asString() : item["prompt"].asString();
            const std::string place = "prompt " + std::to_string(m_grid.prompts.size() + 1);
            if (p.prompt.empty())
                return malformed(place + " is neither a text nor an object with a \"prompt\"");
            if (item.contains("drawn"))
                p.drawn = folder / item["drawn"].asString();
            for (const Value& q : item["questions"].asArray()) {
                QuestionRow row{
                    {}, q["question"].asString(), {}, q["answer"].asString(), q["kind"].asString()};
                for (const Value& option : q["options"].asArray())
                    row.options.push_back(option.asString());
                const bool holds = row.options.empty() || std::find(row.options.begin(), row.options.end(),
                                                                    row.answer) != row.options.end();
                if (row.question.empty() || row.answer.empty() || !holds)
                    return malformed("a question of " + place +
                                     " lacks its text, its answer, or the answer "
                                     "among its options");
                p.questions.push_back(std::move(row));
            }
            m_grid.prompts.push_back(std::move(p));
        }
        return {};
    }

    Result<void> seeds(const Value& list) {
        for (const Value& seed : list.asArray()) {
            if (!seed.isInt() || seed.asInt() < 0)
                return malformed("\"seeds\" holds something that is no whole number from 0 up");
            m_grid.seeds.push_back(static_cast<std::uint64_t>(seed.asInt()));
        }
        if (m_grid.seeds.empty() || m_grid.seeds.size() > kMaxSeeds)
            return malformed("\"seeds\" is no list of 1 to 1000 numbers");
        return {};
    }

    Result<void> arms(const Value& v) {
        for (const Value& arm : v["arms"].asArray())
            if (auto done = addArm(arm, v["base"]); !done)
                return done;
        if (m_grid.arms.empty() || m_grid.arms.size() > kMaxArms)
            return malformed("\"arms\" is no list of 1 to 256 ways of making clips");
        const auto find = [this](const std::string& name) {
            return std::find_if(m_grid.arms.begin(), m_grid.arms.end(),
                                [&](const StudyArm& a) { return a.name == name; });
        };
        const auto reference = find(v["reference"].asString());
        if (reference == m_grid.arms.end())
            return malformed("\"reference\" names no arm: \"" + v["reference"].asString() + "\"");
        m_grid.reference = static_cast<std::size_t>(reference - m_grid.arms.begin());
        for (const StudyArm& arm : m_grid.arms)
            if (!arm.against.empty() && find(arm.against) == m_grid.arms.end())
                return malformed("the arm \"" + arm.name + "\" is held against \"" + arm.against +
                                 "\", which is no arm");
        return {};
    }

    Result<void> addArm(const Value& v, const Value& base) {
        StudyArm arm;
        arm.name = v["name"].asString();
        const std::string place = "the arm \"" + arm.name + "\"";
        if (arm.name.empty() || !v["settings"].isMap())
            return malformed("an arm lacks its \"name\" or its \"settings\"");
        for (const StudyArm& other : m_grid.arms)
            if (other.name == arm.name)
                return malformed(place + " stands there twice");
        if (const auto key = strangeKey(v, {"name", "settings", "against", "family", "floor"}); !key.empty())
            return malformed("the key \"" + key + "\" of " + place + " is not known");
        arm.against = v["against"].asString();
        arm.family = v["family"].asString();
        arm.isFloor = v["floor"].asBool();
        Value settings = merged(merged(base, v["settings"]), m_overrides);
        if (auto done = takeThresholds(settings, arm); !done)
            return done;
        settings.set("version", GenerationRequest::kVersion);
        auto request = generationRequestFromValue(settings);
        if (!request)
            return malformed(place + ": " + request.error().message);
        arm.request = std::move(*request);
        if (const auto key = unreadSetting(settings, arm.request); !key.empty())
            return malformed("no setting is called \"" + key + "\" (in " + place + ")");
        m_grid.arms.push_back(std::move(arm));
        return {};
    }

    /// Replaces "attention.thresholds" by what the file says.
    Result<void> takeThresholds(Value& settings, StudyArm& arm) const {
        const std::string name = settings["attention"]["thresholds"].asString();
        if (!settings["attention"].contains("thresholds"))
            return {};
        auto calibration = readAttentionCalibration(m_folder / name);
        if (!calibration)
            return calibration.error();
        Value::Map attention = settings["attention"].asMap();
        attention.erase("thresholds");
        AttentionSettings host = calibration->host;
        host.headTau = calibration->thresholds();
        const Value known = toValue(host);
        for (const char* key :
             {"tau", "head_tau", "stride", "query_clusters", "key_clusters", "minimum_share"})
            attention.try_emplace(key, known[key]);
        settings.set("attention", std::move(attention));
        arm.thresholds.push_back(std::move(*calibration));
        return {};
    }

    const std::filesystem::path m_folder;
    const Value& m_overrides;
    const std::filesystem::path m_promptFile;
    StudyGrid m_grid;
};

} // namespace

Value merged(const Value& base, const Value& over) {
    if (over.isNull())
        return base;
    if (!base.isMap() || !over.isMap())
        return over;
    Value out = base;
    for (const auto& [key, value] : over.asMap())
        out.set(key, merged(base[key], value));
    return out;
}

Result<StudyGrid> readStudyGrid(const std::filesystem::path& file, const Value& overrides,
                                const std::filesystem::path& prompts) {
    const auto json = readJson(file);
    if (!json)
        return json.error();
    auto grid = GridReader(file, overrides, prompts).read(*json);
    if (!grid)
        return makeError(grid.error().code, grid.error().message + " Grid: " + file.string());
    return grid;
}

std::vector<std::string> prepareStudy(StudyGrid& grid, const ModelRecord& model) {
    std::vector<std::string> problems;
    for (StudyArm& arm : grid.arms) {
        const auto add = [&](const std::string& sentence) {
            problems.push_back("The arm \"" + arm.name + "\" cannot run: " + sentence);
        };
        arm.request.modelId = model.id;
        arm.request.modelPath = model.root.string();
        arm.request = withModelDefaults(std::move(arm.request), model.defaults);
        if (auto taken = takeReuseCalibration(arm.request, model); !taken)
            add(taken.error().message);
        for (const AttentionCalibration& calibration : arm.thresholds)
            for (const std::string& sentence :
                 calibrationProblems(calibration, arm.request.attention,
                                     {model.id, model.dit.layers, model.dit.heads, videoTokens(arm.request)}))
                add(sentence);
        GenerationRequest clip = arm.request;
        clip.prompt = grid.prompts.front().prompt;
        for (const std::string& sentence : checkRequest(clip, model))
            add(sentence);
        const GenerationRequest& reference = grid.arms[grid.reference].request;
        if (clip.width != reference.width || clip.height != reference.height ||
            clip.frames != reference.frames)
            add("its clips are of another size or length than those of \"" + grid.arms[grid.reference].name +
                "\", which they are compared with.");
    }
    return problems;
}

} // namespace canopy::evaluation
