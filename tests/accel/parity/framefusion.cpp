// Calls of the public FrameFusion class on toy layers.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <doctest/doctest.h>

#include "accel/policies/tokens/framefusion.h"
#include "tests/support/parity_case.h"

namespace canopy::test {
namespace {

using namespace canopy::accel;

/// Flat patch index of each token from its place in the frame (`type`, -1 = text): the k-th token of a place
/// stands in frame k.
at::Tensor videoIndexOf(const at::Tensor& type, std::int64_t patches) {
    std::vector<std::int64_t> index;
    std::vector<std::int64_t> seen(static_cast<std::size_t>(patches));
    for (std::int64_t i = 0; i < type.size(0); ++i) {
        const auto place = type[i].item<std::int64_t>();
        index.push_back(place < 0 ? -1 : seen[static_cast<std::size_t>(place)]++ * patches + place);
    }
    return at::tensor(index);
}

/// One row of attention as the case describes it: q = k = hidden, mean over heads of the last token's row.
at::Tensor lastRow(const at::Tensor& hidden, std::int64_t heads) {
    const auto split = hidden.view({hidden.size(0), heads, -1}).transpose(0, 1); // [H, n, d]
    const auto scale = 1.0 / std::sqrt(static_cast<double>(split.size(2)));
    const auto last = split.narrow(1, hidden.size(0) - 1, 1); // [H, 1, d]
    return (last.matmul(split.transpose(1, 2)) * scale).softmax(-1).squeeze(1).mean(0);
}

} // namespace

void checkFrameFusion(const ParityCase& reference) {
    const auto& params = reference.json()["params"];
    FrameFusionSettings settings;
    settings.cost = params["cost"].asDouble();
    settings.similarity = params["sim"].asDouble();
    FrameFusion policy(settings);

    PrefillPoint point;
    point.hidden = reference.tensor("hidden");
    point.frames = static_cast<int>(params["frames"].asInt());
    point.patchesPerFrame = static_cast<int>(params["patches"].asInt());
    point.layers = static_cast<int>(reference.json()["layers_in_formula"].asInt());
    point.positions = at::arange(point.hidden.size(0));
    point.videoIndex = videoIndexOf(reference.tensor("patch_type"), point.patchesPerFrame);
    const auto mix = reference.tensor("mix");
    const auto heads = params["heads"].asInt();

    int call = 0;
    for (const auto& facts : reference.json()["calls"].asArray()) {
        const std::string key = "call" + std::to_string(call);
        CAPTURE(key);
        point.layer = call == 0 ? 0 : call - 1;
        point.where = call == 0 ? PrefillPoint::Where::BeforeAttention : PrefillPoint::Where::AfterAttention;
        const auto hidden = point.hidden;
        point.lastRowAttention = [&] { return lastRow(hidden, heads); };
        CHECK(point.hidden.size(0) == facts["tokens_before"].asInt());
        if (!facts["needed_fraction"].isNull())
            CHECK(policy.neededShare(point.layers) == doctest::Approx(facts["needed_fraction"].asDouble()));
        if (reference.has(key + ".attention_row"))
            expectClose(lastRow(hidden, heads), reference.tensor(key + ".attention_row").mean(0), 1e-5,
                        key + " attention");
        if (reference.has(key + ".similarity_by_patch")) {
            const auto repeats = FrameFusion::repeats(point);
            expectClose(repeats.cosine, reference.tensor(key + ".similarity_by_patch"), reference.tolerance(),
                        key + " similarity");
            expectEqual(repeats.place, reference.tensor(key + ".token_index_by_patch"), key + " order");
        }
        if (const auto reduction = policy.reduce(point)) {
            point.hidden = reduction->hidden;
            point.positions = point.positions.index_select(0, reduction->keep);
            point.videoIndex = point.videoIndex.index_select(0, reduction->keep);
        }
        expectEqual(point.positions, reference.tensor(key + ".kept_original_positions"), key + " kept");
        expectClose(point.hidden, reference.tensor(key + ".hidden"), reference.tolerance(), key + " states");
        CHECK(point.hidden.size(0) == facts["tokens_after"].asInt());
        CHECK(policy.isMergingDone() == facts["finish_merging"].asBool());
        CHECK(policy.isPruningDone() == facts["finish_pruning"].asBool());
        const auto& shares = facts["sparsity_list"].asArray();
        REQUIRE(policy.mergedShares().size() == shares.size());
        for (std::size_t i = 0; i < shares.size(); ++i)
            CHECK(policy.mergedShares()[i] == doctest::Approx(shares[i].asDouble()));
        point.hidden = point.hidden + 0.25 * point.hidden.matmul(mix[call]).tanh();
        ++call;
    }
}

} // namespace canopy::test
