#include "core/job/threshold_budget.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace canopy {
namespace {

using Heads = std::vector<std::vector<ThresholdOption>>;

/// Rounding of sums over thousands of heads.
constexpr double kSlack = 1e-12;

struct Totals {
    double error = 0, sparsity = 0;
};

Totals totalsOf(const Heads& heads, const std::vector<int>& choice) {
    Totals sum;
    for (std::size_t h = 0; h < heads.size(); ++h) {
        const ThresholdOption& o = heads[h][static_cast<std::size_t>(choice[h])];
        sum.error += o.error;
        sum.sparsity += o.sparsity;
    }
    return sum;
}

double priced(const ThresholdOption& o, double lambda) {
    return o.error - lambda * o.sparsity;
}

std::vector<int> minimisers(const Heads& heads, double lambda) {
    std::vector<int> choice;
    for (const auto& options : heads) {
        const auto better = [lambda](const ThresholdOption& a, const ThresholdOption& b) {
            const double pa = priced(a, lambda), pb = priced(b, lambda);
            const double tie = kSlack * (1 + std::abs(pa) + std::abs(pb));
            return std::abs(pa - pb) <= tie ? a.sparsity > b.sparsity : pa < pb;
        };
        choice.push_back(
            static_cast<int>(std::min_element(options.begin(), options.end(), better) - options.begin()));
    }
    return choice;
}

/// The smallest lambda whose minimisers meet the budget: 0 or the price at which some head changes options.
double smallestLambda(const Heads& heads, double needed) {
    std::vector<double> prices{0};
    for (const auto& options : heads)
        for (const ThresholdOption& a : options)
            for (const ThresholdOption& b : options)
                if (b.sparsity > a.sparsity && b.error > a.error)
                    prices.push_back((b.error - a.error) / (b.sparsity - a.sparsity));
    std::sort(prices.begin(), prices.end());
    const auto first = std::partition_point(prices.begin(), prices.end(), [&](double lambda) {
        return totalsOf(heads, minimisers(heads, lambda)).sparsity < needed - kSlack;
    });
    return first == prices.end() ? prices.back() : *first;
}

/// Spends sparsity above the budget on the head whose error falls most for it, until nothing fits.
void spendSlack(const Heads& heads, double needed, std::vector<int>& choice) {
    for (;;) {
        const double spare = totalsOf(heads, choice).sparsity - needed + kSlack;
        double bestRate = 0;
        std::size_t bestHead = 0;
        int bestOption = -1;
        for (std::size_t h = 0; h < heads.size(); ++h) {
            const ThresholdOption& now = heads[h][static_cast<std::size_t>(choice[h])];
            for (std::size_t k = 0; k < heads[h].size(); ++k) {
                const double gain = now.error - heads[h][k].error;
                const double spent = now.sparsity - heads[h][k].sparsity;
                if (gain <= 0 || spent > spare)
                    continue;
                const double rate = spent <= 0 ? std::numeric_limits<double>::infinity() : gain / spent;
                if (bestOption < 0 || rate > bestRate) {
                    bestRate = rate;
                    bestHead = h;
                    bestOption = static_cast<int>(k);
                }
            }
        }
        if (bestOption < 0)
            return;
        choice[bestHead] = bestOption;
    }
}

/// Branch and bound on reduced costs: priced error above the head's minimum. A partial choice whose reduced
/// costs reach what is left between bound and incumbent cannot become better than the incumbent.
class Search {
public:
    Search(const Heads& heads, double lambda, double needed, double bound, std::vector<int> incumbent,
           long mostNodes)
        : m_heads(heads)
        , m_needed(needed)
        , m_bound(bound)
        , m_best(std::move(incumbent))
        , m_bestError(totalsOf(heads, m_best).error)
        , m_nodesLeft(mostNodes) {
        const std::vector<int> cheapest = minimisers(heads, lambda);
        for (std::size_t h = 0; h < heads.size(); ++h) {
            const double least = priced(heads[h][static_cast<std::size_t>(cheapest[h])], lambda);
            Branch branch{h, {}, 0};
            for (std::size_t k = 0; k < heads[h].size(); ++k) {
                const double reduced = std::max(0.0, priced(heads[h][k], lambda) - least);
                if (static_cast<int>(k) == cheapest[h] || reduced < room())
                    branch.options.push_back({static_cast<int>(k), reduced});
            }
            std::sort(branch.options.begin(), branch.options.end(),
                      [](const Option& a, const Option& b) { return a.reduced < b.reduced; });
            m_branches.push_back(std::move(branch));
        }
        // Heads with a choice first, dearest alternatives first; from the back, what can still be saved.
        std::sort(m_branches.begin(), m_branches.end(), [](const Branch& a, const Branch& b) {
            const auto second = [](const Branch& x) {
                return x.options.size() > 1 ? x.options[1].reduced : -1.0;
            };
            return second(a) > second(b);
        });
        double reachable = 0;
        for (auto it = m_branches.rbegin(); it != m_branches.rend(); ++it) {
            double most = 0;
            for (const Option& o : it->options)
                most = std::max(most, heads[it->head][static_cast<std::size_t>(o.option)].sparsity);
            reachable += most;
            it->reachable = reachable;
        }
        m_choice = m_best;
    }

    /// Whether every branch was looked at.
    bool run() { return descend(0, 0, 0, 0); }
    const std::vector<int>& best() const { return m_best; }

private:
    struct Option {
        int option;
        double reduced;
    };
    struct Branch {
        std::size_t head;
        std::vector<Option> options;
        double reachable; ///< most sparsity of this head and those after it
    };

    double room() const { return m_bestError - m_bound; }

    bool descend(std::size_t depth, double reduced, double error, double sparsity) {
        if (depth == m_branches.size()) {
            if (sparsity >= m_needed - kSlack && error < m_bestError) {
                m_bestError = error;
                m_best = m_choice;
            }
            return true;
        }
        if (--m_nodesLeft < 0)
            return false;
        const Branch& branch = m_branches[depth];
        if (sparsity + branch.reachable < m_needed - kSlack)
            return true;
        for (const Option& o : branch.options) {
            if (reduced + o.reduced >= room())
                break; // the rest is dearer
            const ThresholdOption& option = m_heads[branch.head][static_cast<std::size_t>(o.option)];
            m_choice[branch.head] = o.option;
            if (!descend(depth + 1, reduced + o.reduced, error + option.error, sparsity + option.sparsity))
                return false;
        }
        return true;
    }

    const Heads& m_heads;
    const double m_needed;
    const double m_bound;
    std::vector<int> m_best, m_choice;
    double m_bestError;
    long m_nodesLeft;
    std::vector<Branch> m_branches;
};

} // namespace

ThresholdChoice chooseThresholds(const Heads& heads, double budget, int shared, long mostNodes) {
    ThresholdChoice out;
    if (heads.empty())
        return out;
    const double needed = budget * static_cast<double>(heads.size());
    out.lambda = smallestLambda(heads, needed);
    std::vector<int> choice = minimisers(heads, out.lambda);
    double bound = out.lambda * needed;
    for (std::size_t h = 0; h < heads.size(); ++h)
        bound += priced(heads[h][static_cast<std::size_t>(choice[h])], out.lambda);
    spendSlack(heads, needed, choice);
    const std::vector<int> all(heads.size(), shared);
    if (totalsOf(heads, all).error < totalsOf(heads, choice).error ||
        totalsOf(heads, choice).sparsity < needed - kSlack)
        choice = all;
    Search search(heads, out.lambda, needed, bound, choice, mostNodes);
    const bool closed = search.run();
    out.option = search.best();
    const Totals totals = totalsOf(heads, out.option);
    out.error = totals.error;
    out.sparsity = totals.sparsity / static_cast<double>(heads.size());
    out.gap = closed ? 0 : std::max(0.0, totals.error - bound);
    return out;
}

} // namespace canopy
