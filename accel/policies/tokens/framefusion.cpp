#include "accel/policies/tokens/framefusion.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/segment_reduce.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>

#include "accel/policies/tokens/token_math.h"
#include "accel/policies/tokens/token_selection.h"

// n patches of the video in the sequence now, P places of a frame.

namespace canopy::accel {

FrameFusion::Repeats FrameFusion::repeats(const PrefillPoint& point) {
    const auto video = placesOf(point.videoIndex, true); // [n]
    const auto index = point.videoIndex.index_select(0, video);
    const auto patch = index.remainder(point.patchesPerFrame);
    const auto frame = index.floor_divide(point.patchesPerFrame);
    const auto order = std::get<1>((patch * point.frames + frame).sort());
    Repeats result;
    result.place = video.index_select(0, order);
    const std::int64_t n = video.size(0);
    const auto unit = unitRows(point.hidden.index_select(0, result.place).to(at::kFloat)); // [n, C]
    const auto type = patch.index_select(0, order);
    const auto cosine = (unit.narrow(0, 1, n - 1) * unit.narrow(0, 0, n - 1)).sum(-1);
    const auto sameType = type.narrow(0, 1, n - 1) == type.narrow(0, 0, n - 1);
    const auto first = at::full({1}, -2, cosine.options());
    result.cosine = at::cat({first, at::where(sameType, cosine, first)});
    return result;
}

double FrameFusion::neededShare(int layers) const {
    double left = 1;  // S: product of (1 - s)
    double spent = 0; // over the layers so far
    for (const double share : m_merged) {
        left *= 1 - share;
        spent += left;
    }
    const auto ahead = static_cast<double>(layers) - static_cast<double>(m_merged.size());
    if (ahead <= 0 || left <= 0)
        return 0;
    return std::clamp(1 - (layers * m_settings.cost - spent) / (ahead * left), 0.0, 1.0);
}

std::optional<PrefillReduction> FrameFusion::reduce(const PrefillPoint& point) {
    const bool isPlace = point.layer == 0 || point.where == PrefillPoint::Where::AfterAttention;
    const auto patches = isPlace ? (point.videoIndex >= 0).sum().item<std::int64_t>() : 0;
    std::optional<PrefillReduction> reduction;
    if (patches > 0 && !m_mergingDone)
        reduction = merge(point);
    else if (patches > 0 && !m_pruningDone)
        reduction = prune(point);
    m_record.note(point, reduction ? reduction->keep.size(0) : point.hidden.size(0));
    if (reduction)
        m_record.noteLeft(point.videoIndex.index_select(0, reduction->keep));
    return reduction;
}

std::optional<PrefillReduction> FrameFusion::merge(const PrefillPoint& point) {
    const Repeats found = repeats(point);
    const std::int64_t n = found.place.size(0);
    const double needed = neededShare(point.layers);
    auto isFolded = found.cosine >= m_settings.similarity; // [n]
    auto count = isFolded.sum().item<std::int64_t>();
    const double share = static_cast<double>(count) / static_cast<double>(n);
    if (share < needed) {
        m_merged.push_back(share);
        m_mergingDone = share < m_settings.leastMerged;
    } else {
        count = static_cast<std::int64_t>(needed * static_cast<double>(n));
        isFolded = at::full({n}, false, isFolded.options());
        isFolded.index_fill_(0, largest(found.cosine, count), true);
        m_mergingDone = m_pruningDone = true;
    }
    if (count == 0)
        return std::nullopt;

    // A run of folded patches and the one before it become their mean.
    const auto heads = isFolded.logical_not().nonzero().squeeze(1); // [m], places in the order by type
    const auto end = at::full({1}, n, heads.options());
    const auto lengths = at::cat({heads, end}).diff();
    const auto states = point.hidden.index_select(0, found.place).to(at::kFloat);
    const auto means = at::segment_reduce(states, "mean", lengths); // [m, C]
    const auto survivors = found.place.index_select(0, heads);
    auto hidden = point.hidden.clone();
    hidden.index_copy_(0, survivors, means.to(hidden.scalar_type()));

    const auto folded = isFolded.nonzero().squeeze(1);
    const auto head = isFolded.logical_not().cumsum(0).index_select(0, folded) - 1;
    m_record.noteMerge(point.videoIndex.index_select(0, found.place.index_select(0, folded)),
                       point.videoIndex.index_select(0, survivors.index_select(0, head)));
    PrefillReduction reduction;
    reduction.keep = std::get<0>(at::cat({placesOf(point.videoIndex, false), survivors}).sort());
    reduction.hidden = hidden.index_select(0, reduction.keep);
    return reduction;
}

PrefillReduction FrameFusion::prune(const PrefillPoint& point) {
    m_pruningDone = true;
    const auto video = placesOf(point.videoIndex, true);
    const std::int64_t n = video.size(0);
    const double stay = static_cast<double>(n) * (1 - neededShare(point.layers));
    const auto count = std::clamp<std::int64_t>(std::llrint(std::nearbyint(stay)), 1, n);
    const auto attended = point.lastRowAttention().index_select(0, video);
    const auto chosen = video.index_select(0, largest(attended, count));
    PrefillReduction reduction;
    reduction.keep = std::get<0>(at::cat({placesOf(point.videoIndex, false), chosen}).sort());
    reduction.hidden = point.hidden.index_select(0, reduction.keep);
    return reduction;
}

void FrameFusion::finish(TokenRun& run) const {
    m_record.write(run);
    addNote(run,
            "FrameFusion is given all tokens and shortens the sequence inside the language model; the share "
            "kept is the mean over its layers.");
}

} // namespace canopy::accel
