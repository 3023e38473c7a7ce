#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <concepts>
#include <limits>
#include <optional>
#include <span>

#include "core/base/value_codec.h"
#include "core/job/setting_reader.h"
#include "core/job/token_run.h"

// A run's two written forms share one list of its arrays (visitArrays below).

namespace canopy {
namespace {

constexpr std::string_view kRegimes[] = {"none", "roots", "fill"};
constexpr std::string_view kRoles[] = {"root", "trunk", "leaf"};
constexpr std::string_view kEdges[] = {"none", "track", "root_link"};
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

/// What is wrong with a run whose types are right; empty = nothing.
class RunCheck {
public:
    explicit RunCheck(const TokenRun& run)
        : m_run(run)
        , m_cells(static_cast<std::size_t>(run.cells()))
        , m_nodes(run.nodeCell.size()) {}

    std::string problem() {
        checkNumbers();
        checkCells();
        if (m_problem.empty())
            checkNodes();
        if (m_problem.empty())
            checkMerges();
        return m_problem;
    }

private:
    void require(bool holds, std::string_view sentence) {
        if (!holds && m_problem.empty())
            m_problem = sentence;
    }
    template <typename T>
    void requireSize(const std::vector<T>& array, std::size_t size, bool mayBeEmpty, std::string_view name) {
        require(array.size() == size || (mayBeEmpty && array.empty()),
                "\"" + std::string(name) + "\" has " + std::to_string(array.size()) + " entries instead of " +
                    std::to_string(size));
    }
    template <typename T>
    void requireRange(const std::vector<T>& array, std::int64_t low, std::int64_t end,
                      std::string_view name) {
        require(std::all_of(array.begin(), array.end(), [&](T item) { return item >= low && item < end; }),
                "\"" + std::string(name) + "\" has an entry outside " + std::to_string(low) + " to " +
                    std::to_string(end - 1));
    }
    void requireFinite(const std::vector<float>& array, std::string_view name) {
        require(std::all_of(array.begin(), array.end(), [](float item) { return std::isfinite(item); }),
                "\"" + std::string(name) + "\" has an entry that is no number");
    }

    void checkNumbers() {
        const TokenRun& r = m_run;
        const auto frames = static_cast<std::size_t>(r.frames);
        requireSize(r.frameIndex, frames, true, "frame_index");
        requireSize(r.frameSeconds, frames, true, "frame_seconds");
        const int cells = r.cells();
        require(r.featureWidth >= 0, "\"feature_width\" is negative");
        require(r.candidates >= 0 && r.candidates <= cells, "\"candidates\" is not a number of cells");
        require(r.budget >= 0 && r.budget <= cells, "\"budget\" is not a number of cells");
        require(r.keptCells >= 0 && r.keptCells <= cells, "\"kept_cells\" is not a number of cells");
        require(r.keptNewlines >= 0 && r.keptNewlines <= cells, "\"kept_newlines\" is not a number of rows");
        require(r.modelTokens == r.keptCells + r.keptNewlines,
                "\"model_tokens\" is not the sum of cells and newlines");
        require(r.roots >= 0 && static_cast<std::size_t>(r.roots) <= m_nodes, "\"roots\" exceeds the nodes");
        requireRange(r.layerTokens, 0, std::numeric_limits<int>::max(), "layer_tokens");
    }
    void checkCells() {
        const TokenRun& r = m_run;
        requireSize(r.candidate, m_cells, false, "candidate");
        requireSize(r.candidateScore, m_cells, true, "score");
        requireSize(r.priority, m_cells, true, "priority");
        requireSize(r.kept, m_cells, false, "kept");
        requireSize(r.mergedInto, m_cells, true, "merged_into");
        requireRange(r.candidate, 0, 2, "candidate");
        requireRange(r.kept, 0, 2, "kept");
        requireRange(r.priority, -1, r.candidates, "priority");
        requireRange(r.mergedInto, -1, r.cells(), "merged_into");
        requireFinite(r.candidateScore, "score");
        if (!m_problem.empty() || r.priority.empty())
            return;
        std::vector<bool> seen(static_cast<std::size_t>(r.candidates));
        for (const std::int32_t rank : r.priority) {
            if (rank < 0)
                continue;
            require(!seen[static_cast<std::size_t>(rank)], "\"priority\" holds a rank twice");
            seen[static_cast<std::size_t>(rank)] = true;
        }
        require(std::find(seen.begin(), seen.end(), false) == seen.end(), "\"priority\" lacks a rank");
    }
    void checkNodes() {
        const TokenRun& r = m_run;
        requireSize(r.nodeTree, m_nodes, false, "tree");
        requireSize(r.nodeParent, m_nodes, false, "parent");
        requireSize(r.nodeParentSimilarity, m_nodes, false, "parent_similarity");
        requireSize(r.nodeMatch, m_nodes, false, "match");
        requireSize(r.nodeMatchSimilarity, m_nodes, false, "match_similarity");
        requireSize(r.nodeDepth, m_nodes, false, "depth");
        requireRange(r.nodeCell, 0, r.cells(), "cell");
        requireRange(r.nodeTree, 0, r.roots, "tree");
        requireRange(r.nodeDepth, 0, std::max(r.frames, 1), "depth");
        requireFinite(r.nodeParentSimilarity, "parent_similarity");
        requireFinite(r.nodeMatchSimilarity, "match_similarity");
        if (!m_problem.empty())
            return;
        int roots = 0;
        for (std::size_t i = 0; i < m_nodes; ++i) {
            require(i == 0 || r.nodeCell[i - 1] < r.nodeCell[i], "\"cell\" of \"nodes\" is not ascending");
            require(r.candidate[static_cast<std::size_t>(r.nodeCell[i])] == 1,
                    "a node stands on a cell that is no candidate");
            for (const std::int32_t other : {r.nodeParent[i], r.nodeMatch[i]})
                require(other >= -1 && other < static_cast<std::int64_t>(i),
                        "a node's parent or match does not stand before it");
            roots += r.nodeParent[i] < 0;
        }
        require(roots == r.roots, "\"roots\" is not the number of nodes without a parent");
    }
    void checkMerges() {
        const TokenRun& r = m_run;
        std::vector<bool> gone(m_nodes);
        const auto isStandingRoot = [&](std::int32_t node) {
            return node >= 0 && static_cast<std::size_t>(node) < m_nodes &&
                   r.nodeParent[static_cast<std::size_t>(node)] < 0 && !gone[static_cast<std::size_t>(node)];
        };
        for (const auto& merge : r.merges) {
            if (!isStandingRoot(merge.child) || !isStandingRoot(merge.parent) ||
                merge.parent >= merge.child || !std::isfinite(merge.similarity)) {
                require(false, "a merge does not link two standing roots, the later to the earlier");
                return;
            }
            gone[static_cast<std::size_t>(merge.child)] = true;
        }
    }

    const TokenRun& m_run;
    std::size_t m_cells;
    std::size_t m_nodes;
    std::string m_problem;
};

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
        roles.emplace_back(kRoles[static_cast<std::size_t>(cut.role[i])]);
        edges.emplace_back(kEdges[static_cast<std::size_t>(cut.edge[i])]);
    }
    v.set("role", std::move(roles)).set("edge", std::move(edges));
    return v;
}

template <typename T>
void append(std::string& line, T value) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    line.append(text, end);
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
    if (const std::string problem = RunCheck(r).problem(); !problem.empty())
        return damaged(problem);
    return r;
}

std::string tokenRunJson(const TokenRun& run) {
    Value v = runValue(run, ArrayForm::Plain);
    if (!run.nodeCell.empty())
        v.set("cut", cutValue(cutAt(run, run.budget)));
    return toJson(v) + '\n';
}

std::string tokenRunCsv(const TokenRun& run) {
    const ForestCut cut = cutAt(run, run.budget);
    std::vector<std::int32_t> nodeOf(static_cast<std::size_t>(run.cells()), -1);
    for (std::size_t node = 0; node < run.nodeCell.size(); ++node)
        nodeOf[static_cast<std::size_t>(run.nodeCell[node])] = static_cast<std::int32_t>(node);
    std::vector<float> similarity = run.nodeParentSimilarity; // roots that were linked: with their new parent
    for (int i = 0; i < run.roots - cut.roots; ++i) {
        const auto& merge = run.merges[static_cast<std::size_t>(i)];
        similarity[static_cast<std::size_t>(merge.child)] = merge.similarity;
    }
    std::string csv = "frame,frame_index,seconds,row,column,candidate,score,priority,kept,merged_into,node,"
                      "tree,parent_cell,parent_similarity,edge,depth,role\n";
    std::size_t cell = 0;
    for (int frame = 0; frame < run.frames; ++frame) {
        const auto f = static_cast<std::size_t>(frame);
        for (int inFrame = 0; inFrame < run.rows * run.columns; ++inFrame, ++cell) {
            append(csv, frame), csv += ',';
            if (!run.frameIndex.empty())
                append(csv, run.frameIndex[f]);
            csv += ',';
            if (!run.frameSeconds.empty())
                append(csv, run.frameSeconds[f]);
            csv += ',', append(csv, inFrame / run.columns), csv += ',', append(csv, inFrame % run.columns);
            csv += run.candidate[cell] ? ",1," : ",0,";
            if (!run.candidateScore.empty())
                append(csv, run.candidateScore[cell]);
            csv += ',';
            if (!run.priority.empty())
                append(csv, run.priority[cell]);
            csv += run.kept[cell] ? ",1," : ",0,";
            if (!run.mergedInto.empty())
                append(csv, run.mergedInto[cell]);
            if (nodeOf[cell] < 0) {
                csv += ",,,,,,,\n";
                continue;
            }
            const auto node = static_cast<std::size_t>(nodeOf[cell]);
            csv += ',', append(csv, nodeOf[cell]), csv += ',', append(csv, cut.tree[node]), csv += ',';
            if (cut.parent[node] >= 0)
                append(csv, run.nodeCell[static_cast<std::size_t>(cut.parent[node])]);
            csv += ',';
            if (cut.parent[node] >= 0)
                append(csv, similarity[node]);
            csv += ',', csv += kEdges[static_cast<std::size_t>(cut.edge[node])], csv += ',';
            append(csv, cut.depth[node]), csv += ',';
            csv += kRoles[static_cast<std::size_t>(cut.role[node])], csv += '\n';
        }
    }
    return csv;
}

} // namespace canopy
