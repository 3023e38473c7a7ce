#include <algorithm>
#include <functional>
#include <limits>

#include <doctest/doctest.h>

#include "core/base/value_codec.h"
#include "core/job/token_run.h"

using namespace canopy;

namespace {

/// Three frames of one row with two cells, all candidates. Cells and nodes are the same numbers:
///
///     frame 0     frame 1     frame 2
///        0 ───────── 2 ───────── 4        tree 0
///        1 ───────── 3                    tree 1
///                                5        tree 2
///
/// Roots are linked 5 below 1, then 1 below 0.
TokenRun smallForest() {
    TokenRun run;
    run.settings.mode = TokenMode::ForestCode;
    run.settings.keep = 0.5;
    run.settings.candidateShare = 1;
    run.settings.newlines = NewlinePolicy::NonEmptyRows;
    run.settings.positions = PositionPolicy::Repacked;
    run.frames = 3;
    run.rows = 1;
    run.columns = 2;
    run.featureWidth = 8;
    run.hostNewlines = HostNewlines::Grid;
    run.frameIndex = {0, 12, 24};
    run.frameSeconds = {0, 0.5, 1};
    run.candidates = 6;
    run.roots = 3;
    run.candidate = {1, 1, 1, 1, 1, 1};
    run.candidateScore = {0.5F, 1, 1.5F, 2, 2.5F, 3};
    run.priority = {0, 1, 3, 4, 5, 2};
    run.nodeCell = {0, 1, 2, 3, 4, 5};
    run.nodeTree = {0, 1, 0, 1, 0, 2};
    run.nodeParent = {-1, -1, 0, 1, 2, -1};
    run.nodeParentSimilarity = {0, 0, 0.95F, 0.9F, 0.875F, 0};
    run.nodeMatch = run.nodeParent;
    run.nodeMatchSimilarity = run.nodeParentSimilarity;
    run.nodeDepth = {0, 0, 1, 1, 2, 0};
    run.merges = {{5, 1, 0.75F}, {1, 0, 0.25F}};
    run.budget = 3;
    run.regime = TokenRun::Regime::Fill;
    run.kept = {1, 1, 0, 0, 0, 1};
    run.keptCells = 3;
    run.keptNewlines = 2;
    run.modelTokens = 5;
    run.notes = {"A note."};
    run.selectSeconds = 0.25;
    return run;
}

using Roles = std::vector<NodeRole>;
using Edges = std::vector<EdgeKind>;
constexpr auto kRoot = NodeRole::Root;
constexpr auto kTrunk = NodeRole::Trunk;
constexpr auto kLeaf = NodeRole::Leaf;

} // namespace

TEST_CASE("a cut with room for all roots is the forest as it grew") {
    const TokenRun run = smallForest();
    const ForestCut cut = cutAt(run, 4);
    CHECK(cut.roots == 3);
    CHECK(cut.regime == TokenRun::Regime::Fill);
    CHECK(cut.keptCell == std::vector<std::uint8_t>{1, 1, 1, 0, 0, 1});
    CHECK(cut.keptPerFrame == std::vector<int>{2, 1, 1});
    CHECK(cut.parent == run.nodeParent);
    CHECK(cut.depth == run.nodeDepth);
    CHECK(cut.tree == run.nodeTree);
    CHECK(cut.role == Roles{kRoot, kRoot, kTrunk, kLeaf, kLeaf, kRoot});
    CHECK(cut.edge == Edges{EdgeKind::None, EdgeKind::None, EdgeKind::Track, EdgeKind::Track, EdgeKind::Track,
                            EdgeKind::None});
    CHECK(cut.newlines == 3);
    CHECK(cut.modelTokens == 7);
}

TEST_CASE("a cut below the number of roots links as many as are too many, the first merges first") {
    const ForestCut two = cutAt(smallForest(), 2);
    CHECK(two.roots == 2);
    CHECK(two.regime == TokenRun::Regime::Roots);
    CHECK(two.keptCell == std::vector<std::uint8_t>{1, 1, 0, 0, 0, 0});
    CHECK(two.parent == std::vector<std::int32_t>{-1, -1, 0, 1, 2, 1});
    CHECK(two.depth == std::vector<std::int32_t>{0, 0, 1, 1, 2, 1});
    CHECK(two.tree == std::vector<std::int32_t>{0, 1, 0, 1, 0, 1});
    CHECK(two.edge[5] == EdgeKind::RootLink);
    CHECK(two.role[5] == kLeaf);

    const ForestCut one = cutAt(smallForest(), 1);
    CHECK(one.roots == 1);
    CHECK(one.parent == std::vector<std::int32_t>{-1, 0, 0, 1, 2, 1});
    CHECK(one.depth == std::vector<std::int32_t>{0, 1, 1, 2, 2, 2});
    CHECK(one.tree == std::vector<std::int32_t>(6, 0));
    CHECK(one.role == Roles{kRoot, kTrunk, kTrunk, kLeaf, kLeaf, kLeaf});
}

TEST_CASE("a shuffled parent array changes the picture") {
    TokenRun run = smallForest();
    const ForestCut before = cutAt(run, 6);
    std::swap(run.nodeParent[2], run.nodeParent[3]);
    const ForestCut after = cutAt(run, 6);
    CHECK(before.parent != after.parent);
    CHECK(before.tree != after.tree);
    CHECK(before.keptCell == after.keptCell);
}

TEST_CASE("budgets round half to even, stop at the candidates and are at least one") {
    TokenRun run = smallForest();
    CHECK(tokenBudget(run, 0.75) == 4); // 4.5
    run.settings.candidateShare = 0.5;
    CHECK(tokenBudget(run, 0.125) == 2); // 1.5
    CHECK(tokenBudget(run, 0.9) == 6);
    CHECK(tokenBudget(run, 0.0001) == 1);
    run.candidates = 1344;
    CHECK(tokenBudget(run, 0.1) == 269); // 268.8

    TokenRun control = smallForest();
    control.settings.mode = TokenMode::Stride;
    control.priority.clear();
    control.settings.candidateShare = 0.5; // of no meaning here
    CHECK(tokenBudget(control, 0.5) == 3);
}

TEST_CASE("a budget of all tokens holds the newlines that stay") {
    TokenRun run = smallForest();
    run.settings.accounting = BudgetAccounting::AllTokens;
    // In order of keeping: cell 0, 1 (frame 0), 5 (frame 2), 2, 3 (frame 1), 4. Of 4: cells 0 and 1 and one
    // newline, the next cell would bring another one.
    CHECK(tokenBudget(run, 4.0 / 6) == 2);
    CHECK(tokenBudget(run, 5.0 / 6) == 3);
    run.settings.newlines = NewlinePolicy::AllRows;
    CHECK(tokenBudget(run, 4.0 / 6) == 1);
    run.settings.newlines = NewlinePolicy::None;
    CHECK(tokenBudget(run, 4.0 / 6) == 4);
}

TEST_CASE("newlines by host and policy") {
    TokenRun run;
    run.frames = 3;
    run.rows = 2;
    run.columns = 2;
    // Frame 0: one cell of row 1. Frame 1: none. Frame 2: both rows.
    const std::vector<std::uint8_t> kept = {0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1};
    const auto count = [&](HostNewlines host, NewlinePolicy policy) {
        run.hostNewlines = host;
        run.settings.newlines = policy;
        return newlineCount(run, kept);
    };
    CHECK(count(HostNewlines::Grid, NewlinePolicy::AllRows) == 6);
    CHECK(count(HostNewlines::Grid, NewlinePolicy::NonEmptyRows) == 3);
    CHECK(count(HostNewlines::Grid, NewlinePolicy::PerFrame) == 3);
    CHECK(count(HostNewlines::Grid, NewlinePolicy::None) == 0);
    CHECK(count(HostNewlines::Frame, NewlinePolicy::AllRows) == 3);
    CHECK(count(HostNewlines::Frame, NewlinePolicy::NonEmptyRows) == 2);
    CHECK(count(HostNewlines::Frame, NewlinePolicy::None) == 0);
    CHECK(count(HostNewlines::OneToken, NewlinePolicy::NonEmptyRows) == 1);
    CHECK(count(HostNewlines::OneToken, NewlinePolicy::None) == 0);
    CHECK(count(HostNewlines::None, NewlinePolicy::AllRows) == 0);
}

TEST_CASE("a run survives both written forms") {
    const TokenRun run = smallForest();
    const auto cbor = parseCbor(toCbor(toValue(run)));
    REQUIRE(cbor.ok());
    const auto fromCbor = tokenRunFromValue(*cbor);
    REQUIRE_MESSAGE(fromCbor.ok(), fromCbor.error().message);
    CHECK(*fromCbor == run);
    CHECK((*cbor)["cells"]["priority"].asBytes().size() == 4 * 6);

    const auto json = parseJson(tokenRunJson(run));
    REQUIRE(json.ok());
    const auto fromJson = tokenRunFromValue(*json);
    REQUIRE_MESSAGE(fromJson.ok(), fromJson.error().message);
    CHECK(*fromJson == run);
    CHECK((*json)["nodes"]["parent"].asArray().size() == 6);
    CHECK((*json)["cut"]["role"].asArray()[2].asString() == "trunk");

    TokenRun merged = run;
    merged.settings.mode = TokenMode::FrameFusion;
    merged.mergedInto = {-1, -1, 0, 1, 0, -1};
    merged.layerTokens = {20, 14, 9};
    merged.priority.clear();
    const auto again = tokenRunFromValue(toValue(merged));
    REQUIRE(again.ok());
    CHECK(*again == merged);
}

TEST_CASE("a damaged run is refused with a sentence") {
    const std::vector<std::pair<std::string, std::function<void(TokenRun&)>>> damages = {
        {"candidate", [](TokenRun& r) { r.candidate.pop_back(); }},
        {"score", [](TokenRun& r) { r.candidateScore.pop_back(); }},
        {"kept", [](TokenRun& r) { r.kept.push_back(0); }},
        {"kept", [](TokenRun& r) { r.kept[0] = 2; }},
        {"priority", [](TokenRun& r) { r.priority[0] = 6; }},
        {"a rank twice", [](TokenRun& r) { r.priority[0] = 1; }},
        {"lacks a rank", [](TokenRun& r) { r.priority[4] = -1; }},
        {"merged_into", [](TokenRun& r) { r.mergedInto = {0, 0, 0, 0, 0, 6}; }},
        {"tree", [](TokenRun& r) { r.nodeTree.clear(); }},
        {"tree", [](TokenRun& r) { r.nodeTree[0] = 3; }},
        {"before it", [](TokenRun& r) { r.nodeParent[2] = 2; }},
        {"before it", [](TokenRun& r) { r.nodeMatch[2] = -2; }},
        {"without a parent", [](TokenRun& r) { r.nodeParent[5] = 0; }},
        {"ascending", [](TokenRun& r) { r.nodeCell[1] = 0; }},
        {"no candidate", [](TokenRun& r) { r.candidate[3] = 0; }},
        {"cell", [](TokenRun& r) { r.nodeCell[5] = 6; }},
        {"depth", [](TokenRun& r) { r.nodeDepth[4] = -1; }},
        {"no number",
         [](TokenRun& r) { r.nodeParentSimilarity[2] = std::numeric_limits<float>::infinity(); }},
        {"merge",
         [](TokenRun& r) {
             r.merges[1] = {5, 0, 0.5F};
         }},
        {"merge", [](TokenRun& r) { r.merges[0].child = 6; }},
        {"merge",
         [](TokenRun& r) {
             r.merges[0] = {1, 5, 0.5F};
         }},
        {"merge",
         [](TokenRun& r) {
             r.merges[0] = {4, 0, 0.5F};
         }},
        {"frame_index", [](TokenRun& r) { r.frameIndex.pop_back(); }},
        {"frame_seconds", [](TokenRun& r) { r.frameSeconds.push_back(2); }},
        {"budget", [](TokenRun& r) { r.budget = 7; }},
        {"settings", [](TokenRun& r) { r.settings.newlines = NewlinePolicy::Auto; }},
        {"shares", [](TokenRun& r) { r.settings.candidateShare = 0; }},
        {"candidates", [](TokenRun& r) { r.candidates = -1; }},
        {"sum of cells", [](TokenRun& r) { r.modelTokens = 4; }},
        {"layer_tokens", [](TokenRun& r) { r.layerTokens = {-1}; }},
        {"frames of", [](TokenRun& r) { r.frames = 0; }},
        {"frames of", [](TokenRun& r) { r.frames = 1 << 30; }},
        {"frames of", [](TokenRun& r) { r.rows = r.columns = 1 << 16; }},
    };
    for (const auto& [part, damage] : damages) {
        TokenRun run = smallForest();
        damage(run);
        const auto read = tokenRunFromValue(toValue(run));
        CAPTURE(part);
        REQUIRE(!read.ok());
        CAPTURE(read.error().message);
        CHECK(read.error().code == ErrorCode::Malformed);
        CHECK(read.error().message.find(part) != std::string::npos);
    }
}

TEST_CASE("wrong types and names of a written run are refused") {
    const std::vector<std::pair<std::string, Value>> wrong = {
        {"regime", Value("many")},
        {"host_newlines", Value(3)},
        {"frames", Value("three")},
        {"notes", Value(1)},
        {"settings", Value("nothing")},
        {"version", Value(2)},
        {"cells", Value(Value::Map{{"kept", Value("yes")}})},
        {"merges", Value(Value::Map{{"child", Value::Array{Value(5)}}})},
        {"seconds", Value(Value::Map{{"select", Value("long")}})},
    };
    for (const auto& [key, value] : wrong) {
        Value written = toValue(smallForest());
        written.set(key, value);
        CAPTURE(key);
        const auto read = tokenRunFromValue(written);
        CHECK(!read.ok());
    }
    CHECK(!tokenRunFromValue(Value()).ok());
    Value bytes = toValue(smallForest());
    Value cells = bytes["cells"];
    cells.set("priority", Value::Bytes(7)); // not a whole number of entries
    CHECK(!tokenRunFromValue(bytes.set("cells", std::move(cells))).ok());
}

TEST_CASE("whatever is read can be cut, budgeted and exported") {
    const std::vector<std::uint8_t> good = toCbor(toValue(smallForest()));
    std::uint32_t state = 1;
    const auto next = [&](std::size_t end) {
        state = state * 1664525 + 1013904223;
        return static_cast<std::size_t>(state >> 8) % end;
    };
    int read = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::vector<std::uint8_t> bytes = good;
        for (std::size_t i = 0; i <= next(3); ++i)
            bytes[next(bytes.size())] = static_cast<std::uint8_t>(next(256));
        const auto value = parseCbor(bytes);
        if (!value)
            continue;
        const auto run = tokenRunFromValue(*value);
        if (!run) {
            CHECK(!run.error().message.empty());
            continue;
        }
        ++read;
        for (const double keep : {0.01, 0.5, 1.0})
            CHECK(tokenBudget(*run, keep) >= 1);
        for (const int budget : {0, 1, 2, 6, 1000})
            CHECK(cutAt(*run, run->priority.empty() ? run->budget : budget).keptCell.size() ==
                  static_cast<std::size_t>(run->cells()));
        CHECK(!tokenRunCsv(*run).empty());
        CHECK(!tokenRunJson(*run).empty());
    }
    CHECK(read > 100);
}

TEST_CASE("the CSV has a line for each cell") {
    const std::string csv = tokenRunCsv(smallForest());
    CHECK(std::count(csv.begin(), csv.end(), '\n') == 7);
    CHECK(csv.find("1,12,0.5,0,0,1,1.5,3,0,,2,0,0,0.95,track,1,trunk\n") != std::string::npos);
    TokenRun control = smallForest();
    control.settings.mode = TokenMode::Stride;
    for (auto* nodes : {&control.nodeCell, &control.nodeTree, &control.nodeParent, &control.nodeMatch,
                        &control.nodeDepth, &control.priority})
        nodes->clear();
    control.roots = 0;
    control.merges.clear();
    const std::string plain = tokenRunCsv(control);
    const auto columns =
        std::count(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(plain.find('\n')), ',');
    CHECK(columns * 7 == std::count(plain.begin(), plain.end(), ','));
    CHECK(plain.find("2,24,1,0,1,1,3,,1,,,,,,,,\n") != std::string::npos);
}
