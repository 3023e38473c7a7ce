#include "accel/policies/tokens/dycoke.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include <algorithm>

#include "accel/policies/tokens/token_math.h"
#include "accel/policies/tokens/token_selection.h"

namespace canopy::accel {

TokenPick DyCokeSelector::pick(const VideoTokens& video, double share, TokenRun& run,
                               const std::stop_token&) {
    const std::int64_t N = std::int64_t{video.rows} * video.columns;
    const int whole = (video.frames + 3) / 4;
    const int pruned = video.frames - whole;
    const double left = share * static_cast<double>(N) * video.frames - static_cast<double>(N) * whole;
    const auto perFrame =
        pruned == 0 ? 0 : std::clamp<std::int64_t>(static_cast<std::int64_t>(left / pruned), 0, N);
    if (left < 0)
        addNote(run, "DyCoke keeps one frame of four whole, which is more than the budget; the other frames "
                     "keep nothing.");
    const auto unit = unitRows(video.features.to(at::kFloat)); // [T, N, D]
    const auto cell = at::arange(N, video.features.options().dtype(at::kLong));
    std::vector<at::Tensor> cells;
    for (int frame = 0; frame < video.frames; ++frame) {
        if (frame % 4 == 0) {
            cells.push_back(cell + frame * N);
            continue;
        }
        const int base = frame % 4 == 2 ? frame - 2 : frame - 1;
        const auto cosines = (unit.select(0, frame) * unit.select(0, base)).sum(-1); // [N]
        cells.push_back(largest(cosines.neg(), perFrame) + frame * N);
    }
    TokenPick pick;
    pick.cells = hostCells(at::cat(cells));
    return pick;
}

} // namespace canopy::accel
