#include "accel/policies/tokens/fastv.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <cmath>

#include "accel/policies/tokens/token_math.h"
#include "accel/policies/tokens/token_selection.h"

namespace canopy::accel {

std::optional<PrefillReduction> FastV::reduce(const PrefillPoint& point) {
    const std::int64_t length = point.hidden.size(0);
    const bool isPlace = point.layer == kLayer && point.where == PrefillPoint::Where::BeforeAttention;
    if (!isPlace || m_share >= 1) {
        m_record.note(point, length);
        return std::nullopt;
    }
    const auto video = placesOf(point.videoIndex, true);
    const auto text = placesOf(point.videoIndex, false);
    const std::int64_t patches = video.size(0);
    const auto count =
        std::clamp<std::int64_t>(std::llrint(std::nearbyint(static_cast<double>(patches) * m_share)),
                                 std::min<std::int64_t>(1, patches), patches);
    const auto attended = point.lastRowAttention().index_select(0, video);
    const auto chosen = video.index_select(0, largest(attended, count));
    PrefillReduction reduction;
    reduction.keep = std::get<0>(at::cat({text, chosen}).sort());
    reduction.hidden = point.hidden.index_select(0, reduction.keep);
    m_reduced = true;
    m_record.note(point, reduction.keep.size(0));
    m_record.noteLeft(point.videoIndex.index_select(0, reduction.keep));
    return reduction;
}

void FastV::finish(TokenRun& run) const {
    m_record.write(run);
    if (m_reduced)
        addNote(run,
                "FastV shortens the sequence from the third layer of the language model on; the first two "
                "are given all tokens.");
    else if (m_share < 1)
        addNote(run, "The language model has no third layer, so FastV could not drop anything.");
}

} // namespace canopy::accel
