// SVG2: k-means from given centres, permutations, cluster probabilities, maps, densities and outputs of the
// public functions.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "accel/policies/attention/cluster_map.h"
#include "accel/policies/attention/svg2.h"
#include "tests/support/parity_case.h"

namespace canopy::test {
namespace {

using namespace canopy::accel;

/// A number as it stands in tensor names: 0.9 "0.9", 0 "0".
std::string number(double v) {
    std::string text = std::to_string(v);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.'))
        text.pop_back();
    return text;
}

/// For every centre the first that equals it. The cases hold a duplicate: the public code lets rounding
/// decide to which of the two a token falls, we take the first.
at::Tensor firstTwins(const at::Tensor& centres) {
    const at::Tensor equal = (centres.unsqueeze(0) == centres.unsqueeze(1)).all(2); // [C, C]
    return equal.to(at::kByte).argmax(1);
}

struct Side {
    const ParityCase& reference;
    std::string letter; ///< "q" or "k"

    at::Tensor tensor(const std::string& name) const { return reference.tensor(name + "_" + letter); }
    /// As stored.
    Clusters cluster(std::int64_t head, int iterations) const {
        const std::string key = "iters" + std::to_string(iterations) + ".";
        return {tensor(key + "labels")[head].to(at::kLong), tensor(key + "centres")[head],
                tensor(key + "sizes")[head].to(at::kLong)};
    }
    void check(int iterations) const {
        const std::string key = "iters" + std::to_string(iterations) + ".";
        const at::Tensor gap = tensor(key + "label_gap");
        for (std::int64_t h = 0; h < gap.size(0); ++h) {
            const at::Tensor tokens = reference.tensor(letter)[h];
            const at::Tensor start = reference.tensor("init_centres_" + letter)[h];
            const at::Tensor twins = firstTwins(start), number = at::arange(start.size(0));
            const bool hasTwins = !twins.equal(number);
            // Twins that got other tokens part for good after some iterations.
            const bool comparable = hasTwins ? iterations <= 2 : gap[h].item<double>() > 1e-4;
            if (!comparable)
                continue;
            const Clusters ours = lloyd(tokens, start, iterations), expected = cluster(h, iterations);
            expectEqual(twins.index_select(0, ours.labels), twins.index_select(0, expected.labels),
                        key + "labels_" + letter);
            at::Tensor single = number.masked_select((twins.unsqueeze(0) == twins.unsqueeze(1)).sum(1) == 1);
            expectEqual(ours.sizes.index_select(0, single), expected.sizes.index_select(0, single),
                        key + "sizes_" + letter);
            expectClose(ours.centres.index_select(0, single), expected.centres.index_select(0, single), 1e-4,
                        key + "centres_" + letter);
        }
    }
};

void checkSelection(const ParityCase& reference, int iterations, double p, double ratio) {
    const std::string key = "p" + number(p) + ".r" + number(ratio);
    CAPTURE(key);
    const Side queries{reference, "q"}, keys{reference, "k"};
    const at::Tensor q = reference.tensor("q"), k = reference.tensor("k"), v = reference.tensor("v");
    const at::Tensor margin = reference.tensor(key + ".margin");
    const std::string iters = "iters" + std::to_string(iterations) + ".";
    std::vector<at::Tensor> outputs;
    for (std::int64_t h = 0; h < q.size(0); ++h) {
        const Clusters cq = queries.cluster(h, iterations), ck = keys.cluster(h, iterations);
        const auto part = partitionOf(cq, ck, p, ratio);
        expectEqual(part.queryOrder, reference.tensor(iters + "perm_q")[h], "perm_q");
        expectEqual(part.keyOrder, reference.tensor(iters + "perm_k")[h], "perm_k");
        expectClose(clusterProbabilities(cq.centres, ck.centres, ck.sizes),
                    reference.tensor("cluster_probabilities")[h], 1e-4, "cluster_probabilities");
        bool allSure = true;
        for (std::int64_t i = 0; i < margin.size(1); ++i) {
            if (margin[h][i].item<double>() > 1e-5)
                expectEqual(part.map[i], reference.tensor(key + ".map")[h][i], key + ".map");
            else
                allSure = false;
        }
        if (allSure)
            CHECK(part.keptShare ==
                  doctest::Approx(reference.tensor(key + ".density")[h].item<double>()).epsilon(1e-4));
        outputs.push_back(attendPartition(q[h], k[h], v[h], part));
    }
    if (reference.has(key + ".sparse_output"))
        expectClose(at::stack(outputs), reference.tensor(key + ".sparse_output"), 1e-4,
                    key + ".sparse_output");
}

} // namespace

void checkSvg2(const ParityCase& reference) {
    const auto& params = reference.json()["params"];
    int last = 0;
    for (const auto& iterations : params["iterations"].asArray()) {
        last = static_cast<int>(iterations.asInt());
        Side{reference, "q"}.check(last);
        Side{reference, "k"}.check(last);
    }
    for (const auto& p : params["p"].asArray())
        for (const auto& ratio : params["min_ratio"].asArray())
            checkSelection(reference, last, p.asDouble(), ratio.asDouble());

    const at::Tensor q = reference.tensor("q"), k = reference.tensor("k"), v = reference.tensor("v");
    for (std::int64_t h = 0; h < q.size(0); ++h) {
        const Side queries{reference, "q"}, keys{reference, "k"};
        const auto full = partitionOf(queries.cluster(h, last), keys.cluster(h, last), 1.0, 0.0);
        CHECK(full.keptShare == doctest::Approx(1.0));
        expectClose(attendPartition(q[h], k[h], v[h], full), reference.tensor("dense_output")[h], 1e-4,
                    "dense_output");
    }
}

} // namespace canopy::test
