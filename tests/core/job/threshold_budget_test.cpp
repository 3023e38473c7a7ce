// The multiple-choice knapsack of the thresholds: feasible, never worse than the shared threshold, and equal
// to a search through all combinations.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "core/job/threshold_budget.h"

using namespace canopy;

namespace {

using Heads = std::vector<std::vector<ThresholdOption>>;
constexpr int kShared = 1;

/// Errors rise with sparsity, by very different amounts from head to head, as heads of a model do.
Heads drawnHeads(int count, unsigned seed, bool monotone = true) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> unit(0, 1);
    Heads heads;
    for (int h = 0; h < count; ++h) {
        std::vector<ThresholdOption> options;
        double sparsity = 0.95, error = std::pow(10.0, -1 - 4 * unit(random));
        for (int k = 0; k < 3; ++k) {
            options.push_back({error, sparsity});
            sparsity -= 0.02 + 0.2 * unit(random);
            error *= monotone ? 0.2 + 0.6 * unit(random) : 0.5 + unit(random);
        }
        heads.push_back(options);
    }
    return heads;
}

double meanSparsity(const Heads& heads, int option) {
    double sum = 0;
    for (const auto& options : heads)
        sum += options[static_cast<std::size_t>(option)].sparsity;
    return sum / static_cast<double>(heads.size());
}

double summedError(const Heads& heads, int option) {
    double sum = 0;
    for (const auto& options : heads)
        sum += options[static_cast<std::size_t>(option)].error;
    return sum;
}

/// The least error of all 3^n combinations that meet the budget.
double exhaustive(const Heads& heads, double budget) {
    long combinations = 1;
    for (std::size_t h = 0; h < heads.size(); ++h)
        combinations *= 3;
    double best = std::numeric_limits<double>::infinity();
    for (long code = 0; code < combinations; ++code) {
        double error = 0, sparsity = 0;
        long rest = code;
        for (const auto& options : heads) {
            error += options[static_cast<std::size_t>(rest % 3)].error;
            sparsity += options[static_cast<std::size_t>(rest % 3)].sparsity;
            rest /= 3;
        }
        if (sparsity >= budget * static_cast<double>(heads.size()) - 1e-12)
            best = std::min(best, error);
    }
    return best;
}

} // namespace

TEST_CASE("eight heads: as good as the best of all combinations, and the certificate says so") {
    for (unsigned seed = 0; seed < 60; ++seed) {
        CAPTURE(seed);
        const Heads heads = drawnHeads(8, seed, seed % 3 != 0);
        const double budget = meanSparsity(heads, kShared);
        const ThresholdChoice choice = chooseThresholds(heads, budget, kShared);
        CHECK(choice.sparsity >= budget - 1e-12);
        CHECK(choice.error == doctest::Approx(exhaustive(heads, budget)).epsilon(1e-9));
        CHECK(choice.gap == 0);
        CHECK(choice.lambda >= 0);
    }
}

TEST_CASE("many heads: feasible, better than the shared threshold, and a small certified gap") {
    for (unsigned seed = 0; seed < 5; ++seed) {
        const Heads heads = drawnHeads(1600, seed);
        const double budget = meanSparsity(heads, kShared);
        const ThresholdChoice choice = chooseThresholds(heads, budget, kShared, 100'000);
        CHECK(choice.sparsity >= budget - 1e-12);
        CHECK(choice.error < 0.9 * summedError(heads, kShared));
        CHECK(choice.gap <= 1e-3 * choice.error);
        // Without any search the certificate still bounds the difference to the optimum.
        const ThresholdChoice quick = chooseThresholds(heads, budget, kShared, 0);
        CHECK(quick.error >= choice.error - 1e-12);
        CHECK(quick.error - quick.gap <= choice.error + 1e-12);
    }
}

TEST_CASE("heads whose candidates save equally much, and budgets at the ends") {
    // SVG2's least share of clusters can give every candidate of a head the same sparsity.
    Heads flat = drawnHeads(6, 3);
    for (auto& option : flat[0])
        option.sparsity = 0.7;
    for (auto& option : flat[1])
        option = {0.01, 0.6};
    const double budget = meanSparsity(flat, kShared);
    const ThresholdChoice choice = chooseThresholds(flat, budget, kShared);
    CHECK(choice.error == doctest::Approx(exhaustive(flat, budget)));
    CHECK(choice.option[0] == 2); // the least error costs nothing here

    const Heads heads = drawnHeads(8, 11);
    CHECK(chooseThresholds(heads, 0, kShared).option == std::vector<int>(8, 2));
    CHECK(chooseThresholds(heads, meanSparsity(heads, 0), 0).option == std::vector<int>(8, 0));
    CHECK(chooseThresholds(heads, 0, kShared).lambda == 0);
}
