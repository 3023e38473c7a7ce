#include "accel/policies/tokens/root_merging.h"

#include <ATen/ops/mv.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <queue>

#include "accel/policies/tokens/token_selection.h"
#include "accel/runtime/cancelled.h"

namespace canopy::accel {
namespace {

/// Cosines of one root with those before it.
class RootRows {
public:
    explicit RootRows(const TokenForest& forest)
        : m_count(static_cast<std::int64_t>(forest.roots.size())) {
        const bool allRoots = forest.roots.size() == forest.cell.size();
        const auto index = toDevice({forest.roots.begin(), forest.roots.end()}, forest.unit.device()); // [R]
        if (!forest.cosines.defined())
            m_unit = allRoots ? forest.unit : forest.unit.index_select(0, index);
        else if (allRoots)
            m_cosines = forest.cosines.to(at::kCPU);
        else
            m_cosines = forest.cosines.index_select(0, index).index_select(1, index).to(at::kCPU);
    }
    /// Valid until the next call.
    const float* row(std::int64_t later) {
        if (m_cosines.defined())
            return m_cosines.const_data_ptr<float>() + later * m_count;
        m_row = at::mv(m_unit.narrow(0, 0, later), m_unit.select(0, later)).to(at::kCPU);
        return m_row.const_data_ptr<float>();
    }

private:
    std::int64_t m_count;
    at::Tensor m_cosines; ///< [R, R] on the host
    at::Tensor m_unit;    ///< [R, D] on the device
    at::Tensor m_row;
};

struct Pair {
    float similarity;
    std::int32_t earlier;
    std::int32_t later;
    /// Of two pairs the one to link second is less, as a heap wants it.
    bool operator<(const Pair& other) const {
        if (similarity != other.similarity)
            return similarity < other.similarity;
        if (earlier != other.earlier)
            return earlier > other.earlier;
        return later > other.later;
    }
};

} // namespace

std::vector<TokenRun::Merge> eliminateRoots(const TokenForest& forest, const std::stop_token& stop) {
    const auto count = static_cast<std::int32_t>(forest.roots.size());
    std::vector<TokenRun::Merge> merges;
    if (count < 2)
        return merges;
    RootRows rows(forest);
    std::vector<std::uint8_t> standing(static_cast<std::size_t>(count), 1);
    const auto bestPair = [&](std::int32_t later) {
        const float* row = rows.row(later);
        Pair best{-3, 0, later}; // root 0 never falls
        for (std::int32_t earlier = 0; earlier < later; ++earlier)
            if (row[earlier] > best.similarity && standing[static_cast<std::size_t>(earlier)])
                best = {row[earlier], earlier, later};
        return best;
    };

    std::priority_queue<Pair> pairs;
    for (std::int32_t later = 1; later < count; ++later) {
        if (later % 256 == 0)
            throwIfStopped(stop);
        pairs.push(bestPair(later));
    }
    while (!pairs.empty()) {
        const Pair top = pairs.top();
        pairs.pop();
        if (!standing[static_cast<std::size_t>(top.earlier)]) {
            pairs.push(bestPair(top.later)); // its similarity can only have fallen
            continue;
        }
        standing[static_cast<std::size_t>(top.later)] = 0;
        merges.push_back({forest.roots[static_cast<std::size_t>(top.later)],
                          forest.roots[static_cast<std::size_t>(top.earlier)], top.similarity});
        if (merges.size() % 256 == 0)
            throwIfStopped(stop);
    }
    return merges;
}

} // namespace canopy::accel
