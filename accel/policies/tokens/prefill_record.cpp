#include "accel/policies/tokens/prefill_record.h"

#include <algorithm>
#include <numeric>

#include "accel/policies/tokens/token_selection.h"

namespace canopy::accel {
namespace {

/// Patches of the unpruned video and cells, on hosts with and without a newline in each row.
class PatchGrid {
public:
    explicit PatchGrid(const TokenRun& run)
        : m_columns(run.columns)
        , m_width(run.columns + (run.hostNewlines == HostNewlines::Grid ? 1 : 0)) {}
    int patches(const TokenRun& run) const { return run.frames * run.rows * m_width; }
    /// -1 for a newline.
    std::int32_t cell(std::int32_t patch) const {
        const std::int32_t column = patch % m_width;
        return column < m_columns ? patch / m_width * m_columns + column : -1;
    }

private:
    std::int32_t m_columns;
    std::int32_t m_width;
};

} // namespace

void PrefillRecord::note(const PrefillPoint& point, std::int64_t lengthAfter) {
    const auto layer = static_cast<std::size_t>(point.layer);
    if (m_layerTokens.size() <= layer)
        m_layerTokens.resize(layer + 1);
    // Keys and values are those of the attention that follows, or that has just run on all it was given.
    const bool before = point.where == PrefillPoint::Where::BeforeAttention;
    m_layerTokens[layer] = static_cast<int>(before ? lengthAfter : point.hidden.size(0));
    if (!m_left.defined())
        m_left = point.videoIndex;
}

void PrefillRecord::noteMerge(const at::Tensor& from, const at::Tensor& into) {
    m_from.push_back(from);
    m_into.push_back(into);
}

void PrefillRecord::write(TokenRun& run) const {
    run.layerTokens = m_layerTokens;
    const PatchGrid grid(run);
    std::fill(run.kept.begin(), run.kept.end(), std::uint8_t{0});
    if (m_left.defined())
        for (const std::int32_t patch : hostCells(m_left))
            if (patch >= 0 && grid.cell(patch) >= 0)
                run.kept[static_cast<std::size_t>(grid.cell(patch))] = 1;
    if (m_from.empty())
        return;
    std::vector<std::int32_t> into(static_cast<std::size_t>(grid.patches(run)), -1);
    for (std::size_t i = 0; i < m_from.size(); ++i) {
        const auto from = hostCells(m_from[i]);
        const auto to = hostCells(m_into[i]);
        for (std::size_t j = 0; j < from.size(); ++j)
            into[static_cast<std::size_t>(from[j])] = to[j];
    }
    run.mergedInto.assign(static_cast<std::size_t>(run.cells()), -1);
    for (std::size_t patch = 0; patch < into.size(); ++patch) {
        const std::int32_t cell = grid.cell(static_cast<std::int32_t>(patch));
        if (cell < 0 || into[patch] < 0)
            continue;
        std::int32_t last = into[patch]; // a survivor may have been folded itself later
        while (into[static_cast<std::size_t>(last)] >= 0)
            last = into[static_cast<std::size_t>(last)];
        const std::int32_t survivor = grid.cell(last);
        if (survivor >= 0 && run.kept[static_cast<std::size_t>(survivor)])
            run.mergedInto[static_cast<std::size_t>(cell)] = survivor;
    }
}

at::Tensor placesOf(const at::Tensor& videoIndex, bool patches) {
    return (patches ? videoIndex >= 0 : videoIndex < 0).nonzero().squeeze(1);
}

} // namespace canopy::accel
