#include <bit>
#include <concepts>
#include <utility>

#include "core/base/value_codec.h"
#include "core/job/setting_reader.h"
#include "core/job/token_run.h"
#include "core/job/token_run_check.h"

// A run's two written forms share one list of its arrays (visitArrays below).

namespace canopy {
namespace {

constexpr std::string_view kRegimes[] = {"none", "roots", "fill"};
constexpr std::string_view kHostNewlines[] = {"one_token", "grid", "frame", "none"};
/// Cells that a run may have: 1024 frames of 32 x 32.
constexpr std::int64_t kMostCells = 1 << 20;

enum class ArrayForm { Bytes, Plain };

/// `v(group, key, array)` for every array of a run.
template <typename V, typename Run>
void visitArrays(V& v, Run& r) {
    v("cells", "candidate", r.candidate), v("cells", "score", r.candidateScore);
    v("cells", "priority", r.priority), v("cells", "kept", r.kept), v("cells", "merged_into", r.mergedInto);
    v("nodes", "cell", r.nodeCell), v("nodes", "tree", r.nodeTree), v("nodes", "parent", r.nodeParent);
    v("nodes", "parent_similarity", r.nodeParentSimilarity), v("nodes", "match", r.nodeMatch);
    v("nodes", "match_similarity", r.nodeMatchSimilarity), v("nodes", "depth", r.nodeDepth);
}

template <typename T>
Value arrayValue(const std::vector<T>& array, ArrayForm form) {
    if (form == ArrayForm::Bytes) {
        Value::Bytes bytes;
        bytes.reserve(array.size() * sizeof(T));
        for (const T item : array) {
            if constexpr (sizeof(T) == 1) {
                bytes.push_back(item);
            } else {
                const auto bits = std::bit_cast<std::uint32_t>(item);
                for (int shift = 0; shift < 32; shift += 8)
                    bytes.push_back(static_cast<std::uint8_t>(bits >> shift));
            }
        }
        return Value(std::move(bytes));
    }
    Value::Array plain;
    plain.reserve(array.size());
    for (const T item : array) {
        if constexpr (std::floating_point<T>)
            plain.emplace_back(static_cast<double>(item));
        else
            plain.emplace_back(static_cast<std::int64_t>(item));
    }
    return Value(std::move(plain));
}

class ArrayWriter {
public:
    ArrayWriter(Value& out, ArrayForm form)
        : m_out(out)
        , m_form(form) {}
    template <typename T>
    void operator()(std::string_view group, std::string_view key, const std::vector<T>& array) {
        Value inner = m_out[group];
        inner.set(key, arrayValue(array, m_form));
        m_out.set(group, std::move(inner));
    }

private:
    Value& m_out;
    ArrayForm m_form;
};

class ArrayReader {
public:
    explicit ArrayReader(const Value& in)
        : m_in(in) {}
    template <typename T>
    void operator()(std::string_view group, std::string_view key, std::vector<T>& array) {
        const Value& v = m_in[group][key];
        const bool ok = v.isBytes() ? fromBytes(v.asBytes(), array) : fromPlain(v, array);
        if (!ok && m_problem.empty())
            m_problem =
                "\"" + std::string(key) + "\" of \"" + std::string(group) + "\" is not an array of its type";
    }
    const std::string& problem() const { return m_problem; }

private:
    template <typename T>
    static bool fromBytes(const Value::Bytes& bytes, std::vector<T>& array) {
        if (bytes.size() % sizeof(T) != 0)
            return false;
        array.resize(bytes.size() / sizeof(T));
        for (std::size_t i = 0; i < array.size(); ++i) {
            if constexpr (sizeof(T) == 1) {
                array[i] = bytes[i];
            } else {
                std::uint32_t bits = 0;
                for (std::size_t b = 0; b < 4; ++b)
                    bits |= static_cast<std::uint32_t>(bytes[4 * i + b]) << (8 * b);
                array[i] = std::bit_cast<T>(bits);
            }
        }
        return true;
    }
    template <typename T>
    static bool fromPlain(const Value& v, std::vector<T>& array) {
        if (v.isNull()) // absent = empty; what must not be empty is checked below
            return true;
        if (!v.isArray())
            return false;
        array.reserve(v.asArray().size());
        for (const Value& item : v.asArray()) {
            if constexpr (std::floating_point<T>) {
                if (!item.isNumber())
                    return false;
                array.push_back(static_cast<T>(item.asDouble()));
            } else {
                if (!item.isInt() || !std::in_range<T>(item.asInt()))
                    return false;
                array.push_back(static_cast<T>(item.asInt()));
            }
        }
        return true;
    }

    const Value& m_in;
    std::string m_problem;
};

template <typename T>
Value listOf(const std::vector<T>& items) {
    return Value::Array(items.begin(), items.end());
}

Value mergesValue(const std::vector<TokenRun::Merge>& merges, ArrayForm form) {
    std::vector<std::int32_t> child, parent;
    std::vector<float> similarity;
    for (const auto& merge : merges) {
        child.push_back(merge.child);
        parent.push_back(merge.parent);
        similarity.push_back(merge.similarity);
    }
    Value v;
    v.set("child", arrayValue(child, form)).set("parent", arrayValue(parent, form));
    v.set("similarity", arrayValue(similarity, form));
    return v;
}

Value runValue(const TokenRun& r, ArrayForm form) {
    Value v;
    v.set("version", TokenRun::kVersion).set("settings", toValue(r.settings));
    v.set("frames", r.frames).set("rows", r.rows).set("columns", r.columns);
    v.set("feature_width", r.featureWidth);
    v.set("host_newlines", kHostNewlines[static_cast<std::size_t>(r.hostNewlines)]);
    v.set("frame_index", listOf(r.frameIndex)).set("frame_seconds", listOf(r.frameSeconds));
    v.set("budget", r.budget).set("candidates", r.candidates).set("roots", r.roots);
    v.set("regime", kRegimes[static_cast<std::size_t>(r.regime)]);
    v.set("kept_cells", r.keptCells).set("kept_newlines", r.keptNewlines);
    v.set("model_tokens", r.modelTokens).set("layer_tokens", listOf(r.layerTokens));
    ArrayWriter arrays(v, form);
    visitArrays(arrays, r);
    v.set("merges", mergesValue(r.merges, form)).set("notes", listOf(r.notes));
    Value seconds;
    seconds.set("select", r.selectSeconds).set("candidates", r.candidateSeconds);
    seconds.set("forest", r.forestSeconds).set("merge", r.mergeSeconds);
    v.set("seconds", std::move(seconds));
    return v;
}

Error damaged(const std::string& what) {
    return makeError(ErrorCode::Malformed, "This record of chosen tokens cannot be used: " + what +
                                               ". It is damaged or not from this program; ask again.");
}

Value cutValue(const ForestCut& cut) {
    Value v;
    v.set("budget", cut.budget).set("roots", cut.roots).set("kept_per_frame", listOf(cut.keptPerFrame));
    v.set("regime", kRegimes[static_cast<std::size_t>(cut.regime)]);
    v.set("parent", arrayValue(cut.parent, ArrayForm::Plain));
    v.set("tree", arrayValue(cut.tree, ArrayForm::Plain));
    v.set("depth", arrayValue(cut.depth, ArrayForm::Plain));
    Value::Array roles, edges;
    for (std::size_t i = 0; i < cut.parent.size(); ++i) {
        roles.emplace_back(nodeRoleName(cut.role[i]));
        edges.emplace_back(edgeKindName(cut.edge[i]));
    }
    v.set("role", std::move(roles)).set("edge", std::move(edges));
    return v;
}

} // namespace

Value toValue(const TokenRun& run) {
    return runValue(run, ArrayForm::Bytes);
}

Result<TokenRun> tokenRunFromValue(const Value& value) {
    if (auto readable = checkSettingsVersion(value, TokenRun::kVersion); !readable)
        return readable.error();
    TokenRun r;
    if (!value["settings"].isMap())
        return damaged("its settings are missing");
    auto settings = tokenSettingsFromValue(value["settings"]);
    if (!settings)
        return settings.error();
    r.settings = *settings;
    if (r.settings.newlines == NewlinePolicy::Auto || r.settings.positions == PositionPolicy::Auto)
        return damaged("its settings are not those that were used");
    const auto isShare = [](double share) { return share > 0 && share <= 1; };
    if (!isShare(r.settings.keep) || !isShare(r.settings.candidateShare))
        return damaged("its shares of cells and candidates do not lie between 0 and 1");
    SettingReader reader(value);
    reader.read("frames", r.frames);
    reader.read("rows", r.rows);
    reader.read("columns", r.columns);
    reader.read("feature_width", r.featureWidth);
    reader.read("host_newlines", kHostNewlines, r.hostNewlines);
    reader.read("frame_index", r.frameIndex);
    reader.read("frame_seconds", r.frameSeconds);
    reader.read("budget", r.budget);
    reader.read("candidates", r.candidates);
    reader.read("roots", r.roots);
    reader.read("regime", kRegimes, r.regime);
    reader.read("kept_cells", r.keptCells);
    reader.read("kept_newlines", r.keptNewlines);
    reader.read("model_tokens", r.modelTokens);
    reader.read("layer_tokens", r.layerTokens);
    reader.read("notes", r.notes);
    SettingReader seconds(value["seconds"]);
    seconds.read("select", r.selectSeconds);
    seconds.read("candidates", r.candidateSeconds);
    seconds.read("forest", r.forestSeconds);
    seconds.read("merge", r.mergeSeconds);
    for (const SettingReader* part : {&reader, &seconds})
        if (!part->problem().empty())
            return makeError(ErrorCode::Malformed, part->problem());
    const auto inside = [](int side) { return side >= 1 && side <= kMostCells; };
    if (!inside(r.frames) || !inside(r.rows) || !inside(r.columns) ||
        std::int64_t{r.rows} * r.columns > kMostCells ||
        std::int64_t{r.frames} * (std::int64_t{r.rows} * r.columns) > kMostCells)
        return damaged("it has " + std::to_string(r.frames) + " frames of " + std::to_string(r.rows) + " x " +
                       std::to_string(r.columns) + " cells, and 1 to " + std::to_string(kMostCells) +
                       " in all are expected");
    ArrayReader arrays(value);
    visitArrays(arrays, r);
    std::vector<std::int32_t> child, parent;
    std::vector<float> similarity;
    arrays("merges", "child", child), arrays("merges", "parent", parent);
    arrays("merges", "similarity", similarity);
    if (!arrays.problem().empty())
        return damaged(arrays.problem());
    if (child.size() != parent.size() || child.size() != similarity.size())
        return damaged("the arrays of its merges differ in length");
    for (std::size_t i = 0; i < child.size(); ++i)
        r.merges.push_back({child[i], parent[i], similarity[i]});
    if (const std::string problem = tokenRunProblem(r); !problem.empty())
        return damaged(problem);
    return r;
}

std::string tokenRunJson(const TokenRun& run) {
    Value v = runValue(run, ArrayForm::Plain);
    if (!run.nodeCell.empty())
        v.set("cut", cutValue(cutAt(run, run.budget)));
    return toJson(v) + '\n';
}

} // namespace canopy
