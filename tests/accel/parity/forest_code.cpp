// Candidates, trees before and after root merging, merge order and kept nodes of the public ForestPrune code.

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <doctest/doctest.h>

#include "accel/policies/tokens/gprune_candidates.h"
#include "accel/policies/tokens/token_policies.h"
#include "tests/support/parity_case.h"

namespace canopy::test {
namespace {

using namespace canopy::accel;

at::Tensor ints(const std::vector<std::int32_t>& values) {
    return at::tensor(values);
}

void checkRun(const ParityCase& reference, const std::string& key, const VideoTokens& video,
              const TokenSettings& settings, const Value& facts) {
    const TokenSelection selection = makeTokenPolicy(settings).selector->select(video, {});
    const TokenRun& run = selection.run;
    CHECK(run.candidates == facts["total_candidates"].asInt());
    CHECK(run.roots == facts["roots"].asInt());
    CHECK(run.budget == facts["K"].asInt());
    CHECK((run.regime == TokenRun::Regime::Roots ? "roots" : "fill") == facts["regime"].asString());
    expectEqual(ints(run.nodeParent), reference.tensor(key + ".parent_before_merge"), key + " parents");
    expectEqual(ints(run.nodeDepth), reference.tensor(key + ".depth_before_merge"), key + " depths");
    if (reference.has(key + ".tree"))
        expectEqual(ints(run.nodeTree), reference.tensor(key + ".tree"), key + " trees");

    const ForestCut cut = cutAt(run, run.budget);
    if (reference.has(key + ".parent")) {
        expectEqual(ints(cut.parent), reference.tensor(key + ".parent"), key + " parents after merging");
        expectEqual(ints(cut.depth), reference.tensor(key + ".depth"), key + " depths after merging");
    }
    if (reference.has(key + ".merges")) {
        const auto merges = reference.tensor(key + ".merges");
        REQUIRE(merges.size(0) <= static_cast<std::int64_t>(run.merges.size()));
        std::vector<std::int32_t> ours;
        for (std::int64_t i = 0; i < merges.size(0); ++i) {
            ours.push_back(run.merges[static_cast<std::size_t>(i)].child);
            ours.push_back(run.merges[static_cast<std::size_t>(i)].parent);
        }
        expectEqual(ints(ours).view({-1, 2}), merges, key + " merges");
    }
    // The public code writes something of no meaning at roots (token-forest.md 2.3).
    const auto hasParent = ints(run.nodeParent) >= 0;
    const auto similarity = reference.tensor(key + ".parent_sim");
    expectClose(at::tensor(run.nodeParentSimilarity) * hasParent, similarity * hasParent, 1e-5,
                key + " parent similarity");

    std::vector<std::uint8_t> kept;
    for (const std::int32_t cell : run.nodeCell) {
        CHECK(run.kept[static_cast<std::size_t>(cell)] == cut.keptCell[static_cast<std::size_t>(cell)]);
        kept.push_back(run.kept[static_cast<std::size_t>(cell)]);
    }
    expectEqual(at::tensor(kept), reference.tensor(key + ".kept"), key + " kept");
    expectEqual(at::tensor(cut.keptPerFrame), reference.tensor(key + ".kept_per_frame"), key + " per frame");
}

} // namespace

void checkForestCode(const ParityCase& reference) {
    const auto& params = reference.json()["params"];
    const auto& runs = params["runs"].asArray();
    const auto features = reference.tensor("features");
    for (const std::string& name : reference.tensorNames()) {
        if (!name.ends_with(".candidates"))
            continue;
        const std::string rho = name.substr(0, name.size() - std::string(".candidates").size());
        const auto cells = reference.tensor(name);
        const auto candidates =
            gpruneCandidates(features.narrow(0, 0, cells.size(0)), static_cast<int>(cells.size(1)));
        expectEqual(candidates.cells, cells, name);
        expectClose(candidates.scores, reference.tensor(rho + ".gprune_scores"), 1e-5, rho + " scores");
    }
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const auto& v = runs[i].asArray();
        const auto& facts = reference.json()["runs"].asArray()[i];
        const std::string& key = facts["key"].asString();
        CAPTURE(key);
        VideoTokens video;
        video.frames = static_cast<int>(v[0].asInt());
        video.rows = static_cast<int>(params["grid"].asArray()[0].asInt());
        video.columns = static_cast<int>(params["grid"].asArray()[1].asInt());
        video.features = features.narrow(0, 0, video.frames);
        TokenSettings settings;
        settings.mode = TokenMode::ForestCode;
        settings.keep = v[1].asDouble();
        settings.semanticThreshold = v[2].asDouble();
        settings.spatialThreshold = v[3].asDouble();
        settings.candidateShare = v[4].asDouble();
        checkRun(reference, key, video, settings, facts);
    }
}

} // namespace canopy::test
