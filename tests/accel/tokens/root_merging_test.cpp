// Fast root merging against the published loop: pass after pass over all pairs of standing roots.

#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <numeric>

#include <doctest/doctest.h>

#include "accel/policies/tokens/counter_random.h"
#include "accel/policies/tokens/root_merging.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

/// Roots only, with rows of small whole numbers (over 512, so that products stay within -1 and 1): their
/// products are exact in whatever order they are summed.
TokenForest rootsOf(int count, int width, std::uint32_t levels, std::uint64_t seed) {
    CounterRandom random(seed);
    std::vector<float> values;
    for (int i = 0; i < count * width; ++i)
        values.push_back((static_cast<float>(random.below(levels)) - static_cast<float>(levels / 2)) / 512);
    TokenForest forest;
    forest.cell.resize(static_cast<std::size_t>(count));
    std::iota(forest.cell.begin(), forest.cell.end(), 0);
    forest.parent.assign(forest.cell.size(), -1);
    forest.roots = forest.cell;
    forest.unit = at::tensor(values).view({count, width});
    forest.cosines = at::matmul(forest.unit, forest.unit.t());
    return forest;
}

std::vector<TokenRun::Merge> publishedLoop(const TokenForest& forest) {
    std::vector<std::int32_t> standing = forest.roots;
    std::vector<TokenRun::Merge> merges;
    const auto cosines = forest.cosines.accessor<float, 2>();
    while (standing.size() > 1) {
        TokenRun::Merge best{-1, -1, 0};
        for (const std::int32_t p : standing)
            for (const std::int32_t q : standing)
                if (p < q && (best.child < 0 || cosines[p][q] > best.similarity))
                    best = {q, p, cosines[p][q]};
        std::erase(standing, best.child);
        merges.push_back(best);
    }
    return merges;
}

} // namespace

TEST_CASE("fast merging equals the published loop, with and without ties") {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        // Few levels and a small width: many equal cosines. Many levels: hardly any.
        const int count = 2 + static_cast<int>(CounterRandom(seed).below(90));
        const int width = seed % 3 == 0 ? 2 : 12;
        const std::uint32_t levels = seed % 2 == 0 ? 3 : 200;
        CAPTURE(seed);
        const TokenForest forest = rootsOf(count, width, levels, 100 + seed);
        const auto expected = publishedLoop(forest);
        CHECK((eliminateRoots(forest, {}) == expected));

        TokenForest onDemand = forest;
        onDemand.cosines = at::Tensor();
        CHECK((eliminateRoots(onDemand, {}) == expected));
    }
}

TEST_CASE("merging names nodes, not places among roots") {
    TokenForest forest = rootsOf(40, 12, 200, 7);
    TokenForest odd = forest;
    odd.roots.clear();
    for (std::int32_t i = 1; i < 40; i += 2)
        odd.roots.push_back(i);
    const auto merges = eliminateRoots(odd, {});
    CHECK((merges == publishedLoop(odd)));
    CHECK(merges.size() == 19);
    odd.cosines = at::Tensor();
    CHECK((eliminateRoots(odd, {}) == merges));
}

TEST_CASE("none or one root needs no merging") {
    TokenForest forest = rootsOf(3, 4, 5, 1);
    forest.roots = {2};
    CHECK(eliminateRoots(forest, {}).empty());
}
