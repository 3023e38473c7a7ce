#include <ATen/TensorOperators.h>
#include <ATen/ops/max_pool1d.h>
#include <ATen/ops/softmax.h>

#include <doctest/doctest.h>

#include <map>

#include "accel/policies/cache/kv_compression.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

using namespace canopy::accel;

void checkKvCompression(const ParityCase& reference) {
    static const std::map<std::string, PositionWeighting, std::less<>> kWeightings = {
        {"no_weight", PositionWeighting::None},
        {"hard_code", PositionWeighting::HardCode},
        {"exponential", PositionWeighting::Exponential},
        {"polynomial", PositionWeighting::Polynomial},
        {"upper_convex_polynomial", PositionWeighting::UpperConvex},
        {"gaussian", PositionWeighting::Gaussian}};
    const auto& params = reference.json()["params"];
    const auto& grid = params["frame_grid"].asArray();
    KvCompressionSettings settings;
    settings.lambda = params["lam"].asDouble();
    settings.poolKernel = static_cast<int>(params["kernel"].asInt());
    settings.frameTokens = grid[0].asInt() * grid[1].asInt();
    settings.chunkTokens = settings.frameTokens * params["frames_per_chunk"].asInt();
    const std::string& queryRows = params["query_granularity"].asString();
    settings.queries = queryRows == "token"   ? ObservedQueries::Tokens
                       : queryRows == "frame" ? ObservedQueries::Frame
                                              : ObservedQueries::Chunk;
    const std::string& strategy = params["strategy"].asString();
    settings.unit = strategy == "token"   ? KeptUnit::Token
                    : strategy == "frame" ? KeptUnit::Frame
                                          : KeptUnit::Chunk;
    const auto keys = reference.tensor("keys");
    const auto queries = reference.tensor("queries");
    const auto budget = params["budget"].asInt();
    const double tolerance = reference.tolerance();

    const auto importance = keyImportance(observedQueries(queries, settings), keys);
    const auto cosine = meanCosine(keys);
    const auto scores = keyScores(queries, keys, settings);
    expectClose(importance, reference.tensor("importance"), tolerance, "importance");
    expectClose(at::max_pool1d(importance.unsqueeze(0), settings.poolKernel, 1, settings.poolKernel / 2)[0],
                reference.tensor("importance_pooled"), tolerance, "importance_pooled");
    expectClose(cosine, reference.tensor("mean_cosine"), tolerance, "mean_cosine");
    expectClose(at::softmax(cosine, -1), reference.tensor("redundancy"), tolerance, "redundancy");
    expectClose(scores.to(at::kDouble), reference.tensor("score_f64"), tolerance, "score");
    for (const auto& [name, weighting] : kWeightings) {
        if (!reference.has(name + ".kept") ||
            reference.json()["weightings"][name]["gap_at_cut"].asDouble() <= 1e-7)
            continue;
        CAPTURE(name);
        settings.weighting = weighting;
        expectEqual(keptKeys(scores, budget, settings), reference.tensor(name + ".kept"), name + " kept");
    }
}

} // namespace canopy::test
