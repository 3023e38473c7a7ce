#include "accel/policies/tokens/visionzip.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>

#include "accel/policies/tokens/token_math.h"
#include "accel/policies/tokens/token_selection.h"

namespace canopy::accel {
namespace {

at::Tensor gatherRows(const at::Tensor& rows, const at::Tensor& index) {
    return rows.gather(1, index.unsqueeze(-1).expand({-1, -1, rows.size(2)}));
}

} // namespace

VisionZipResult visionZip(const at::Tensor& features, const at::Tensor& attention, const at::Tensor& keys,
                          std::int64_t tokens) {
    const std::int64_t T = features.size(0);
    const std::int64_t N = features.size(1);
    const std::int64_t dominantCount = tokens * 54 / 64;
    const std::int64_t targets = tokens - dominantCount; // m
    const auto dominant = largest(attention, dominantCount);
    const auto rest = others(dominant, N); // [T, n]
    const std::int64_t n = rest.size(1);
    const auto places = at::arange(targets, rest.options()) * (n / targets); // every step-th
    const auto target = rest.index_select(1, places);                        // [T, m]

    const auto keyCosines = at::matmul(unitRows(gatherRows(keys, rest)),
                                       unitRows(gatherRows(keys, target)).transpose(1, 2)); // [T, n, m]
    const auto group = firstArgmax(keyCosines);                                             // [T, n]
    auto isMember = at::full({T, n}, true, rest.options().dtype(at::kBool));
    isMember.index_fill_(1, places, false);
    const auto member = (group.unsqueeze(1) == at::arange(targets, rest.options()).view({1, targets, 1}))
                            .logical_and(isMember.unsqueeze(1))
                            .to(features.scalar_type()); // [T, m, n]
    const auto sums = at::matmul(member, gatherRows(features, rest));
    const auto means = sums / member.sum(2, true).clamp_min(1);

    VisionZipResult result;
    result.cells = at::cat({dominant, target}, 1);
    result.features = at::cat({gatherRows(features, dominant), gatherRows(features, target) + means}, 1);
    const auto none = at::full({}, -1, rest.options());
    result.into = at::full({T, N}, -1, rest.options())
                      .scatter(1, rest, at::where(isMember, target.gather(1, group), none));
    return result;
}

TokenPick VisionZipSelector::pick(const VideoTokens& video, double share, TokenRun& run,
                                  const std::stop_token&) {
    const std::int64_t N = std::int64_t{video.rows} * video.columns;
    const auto tokens =
        std::clamp<std::int64_t>(std::llrint(std::nearbyint(share * static_cast<double>(N))), 1, N);
    addNote(run,
            "The vision tower has no class token, so attention is that which a patch receives, as in the "
            "public port to video.");
    const VisionZipResult result =
        visionZip(video.features.to(at::kFloat), video.attention, video.keys, tokens);
    const auto first = at::arange(video.frames, result.cells.options()).unsqueeze(1) * N; // [T, 1]
    const auto [cells, order] = (result.cells + first).flatten().sort();
    TokenPick pick;
    pick.cells = hostCells(cells);
    pick.features = result.features.flatten(0, 1).index_select(0, order).to(video.features.scalar_type());
    const std::vector<std::int32_t> place = hostCells(order);
    pick.sequence.resize(place.size());
    for (std::size_t i = 0; i < place.size(); ++i)
        pick.sequence[static_cast<std::size_t>(place[i])] = static_cast<std::int32_t>(i);
    pick.mergedInto = hostCells(at::where(result.into >= 0, result.into + first, result.into).flatten());
    return pick;
}

} // namespace canopy::accel
