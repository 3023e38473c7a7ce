#include "accel/samplers/timestep_matrix.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace canopy::accel {

std::vector<TimestepRow> timestepMatrix(const DiffusionForcingSetting& setting,
                                        const std::vector<double>& timesteps) {
    const int block = setting.causalBlockFrames;
    const int blocks = setting.frames / block;
    const int baseBlocks = setting.baseFrames / block;
    const int steps = static_cast<int>(timesteps.size());
    const int finished = steps + 1;
    if (blocks < 1 || baseBlocks < 1)
        throw std::invalid_argument("a causal block of " + std::to_string(block) +
                                    " frames does not fit the clip");
    if (baseBlocks < blocks && setting.arStep < (steps + baseBlocks - 1) / baseBlocks) {
        throw std::invalid_argument("ar_step " + std::to_string(setting.arStep) + " is too small for " +
                                    std::to_string(setting.frames) + " frames at a base of " +
                                    std::to_string(setting.baseFrames));
    }
    std::vector<double> table{999};
    table.insert(table.end(), timesteps.begin(), timesteps.end());
    table.push_back(0);

    const auto count = static_cast<std::size_t>(blocks);
    std::vector<int> previous(count, 0);
    const int prefixBlocks = setting.prefixFrames / block;
    std::fill_n(previous.begin(), std::min(prefixBlocks, blocks), finished);

    std::vector<TimestepRow> rows;
    int end = baseBlocks;
    while (std::any_of(previous.begin(), previous.end(), [&](int p) { return p < steps; })) {
        std::vector<int> now(count);
        for (std::size_t i = 0; i < count; ++i) {
            // A block follows the one before it at a distance of arStep; behind a finished one it runs
            // freely.
            now[i] = i == 0 || previous[i - 1] >= steps ? previous[i] + 1 : now[i - 1] - setting.arStep;
        }
        for (auto& index : now)
            index = std::clamp(index, 0, finished);
        std::vector<bool> advances(count);
        for (std::size_t i = 0; i < count; ++i)
            advances[i] = now[i] != previous[i] && now[i] != finished;
        if (end < blocks && advances[static_cast<std::size_t>(end)])
            ++end;
        TimestepRow row;
        row.firstFrame = std::max(end - baseBlocks, 0) * block;
        row.endFrame = end * block;
        for (std::size_t i = 0; i < count; ++i) {
            for (int f = 0; f < block; ++f) {
                row.stepIndex.push_back(now[i]);
                row.timesteps.push_back(table[static_cast<std::size_t>(now[i])]);
                row.advances.push_back(advances[i]);
            }
        }
        rows.push_back(std::move(row));
        previous = std::move(now);
    }
    return rows;
}

} // namespace canopy::accel
