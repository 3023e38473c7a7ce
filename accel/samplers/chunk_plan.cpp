#include "accel/samplers/chunk_plan.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace canopy::accel {

namespace {

constexpr int kShortcutSteps = 12;
constexpr int kQuarters = 4;

/// Visited positions in sixteenths of a quarter, and the quarter's end.
std::array<int, 4> quarterOffsets(MagiShortcut shortcut) {
    return shortcut == MagiShortcut::Late ? std::array{0, 8, 12, 16} : std::array{0, 4, 8, 16};
}

/// Positions before MAGI-1's shift, steps + 1 values from 0 to 1.
std::vector<double> basePositions(int steps, MagiShortcut shortcut) {
    if (steps < 1)
        throw std::invalid_argument("a chunk needs at least 1 step, not " + std::to_string(steps));
    std::vector<double> positions;
    if (steps == kShortcutSteps) {
        const auto offsets = quarterOffsets(shortcut);
        for (int quarter = 0; quarter < kQuarters; ++quarter) {
            for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
                positions.push_back((quarter + offsets[i] / 16.0) / kQuarters);
        }
    } else {
        for (int k = 0; k < steps; ++k)
            positions.push_back(static_cast<double>(k) / steps);
    }
    positions.push_back(1.0);
    return positions;
}

} // namespace

std::vector<double> magiTimes(int steps, MagiShortcut shortcut) {
    auto times = basePositions(steps, shortcut);
    for (auto& s : times)
        s = s * s / (3 - 2 * s * s);
    return times;
}

std::vector<double> magiIntervals(int steps, MagiShortcut shortcut) {
    if (steps != kShortcutSteps)
        return std::vector<double>(basePositions(steps, shortcut).size() - 1, 1.0);
    std::vector<double> intervals;
    const auto offsets = quarterOffsets(shortcut);
    for (int quarter = 0; quarter < kQuarters; ++quarter) {
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
            intervals.push_back((offsets[i + 1] - offsets[i]) / 4.0);
    }
    return intervals;
}

ChunkPlan magiPlan(const MagiSetting& setting) {
    if (setting.window < 1 || setting.steps < 1 || setting.steps % setting.window != 0) {
        throw std::invalid_argument(
            std::to_string(setting.steps) + " steps cannot be shared out over a window of " +
            std::to_string(setting.window) + " chunks: the window must divide the number of steps");
    }
    if (setting.prefixChunks < 0 || setting.chunks <= setting.prefixChunks) {
        throw std::invalid_argument("a clip of " + std::to_string(setting.chunks) + " chunks with " +
                                    std::to_string(setting.prefixChunks) + " given ones leaves none to make");
    }
    const auto times = magiTimes(setting.steps, setting.shortcut);
    const int stride = setting.steps / setting.window;
    ChunkPlan plan{setting.chunks, setting.prefixChunks, setting.steps, {}};
    const int stages = setting.chunks + setting.window - 1 - setting.prefixChunks;
    for (int stage = 0; stage < stages; ++stage) {
        const int newest = setting.prefixChunks + stage;
        const int begin = std::max(setting.prefixChunks, newest - setting.window + 1);
        const int end = std::min(setting.chunks, newest + 1);
        for (int sub = 0; sub < stride; ++sub) {
            ChunkRow row;
            for (int chunk = begin; chunk < end; ++chunk) {
                const int local = (newest - chunk) * stride + sub;
                row.push_back({chunk, local, times[static_cast<std::size_t>(local)], true});
            }
            plan.rows.push_back(std::move(row));
        }
    }
    return plan;
}

TokenRange magiKeyRange(const ChunkCall& call, int steps, std::int64_t chunkTokens,
                        const std::vector<int>& window) {
    const std::int64_t end = (call.chunk + 1) * chunkTokens;
    if (window.empty())
        return {0, end};
    const auto part = static_cast<std::size_t>(call.localStep) * window.size() / steps;
    return {std::max<std::int64_t>(0, end - window[part] * chunkTokens), end};
}

ChunkPlan forcingChunkPlan(const DiffusionForcingSetting& setting, const std::vector<double>& timesteps) {
    const int block = setting.causalBlockFrames;
    for (const int frames : {setting.frames, setting.baseFrames, setting.prefixFrames}) {
        if (block < 1 || frames % block != 0) {
            throw std::invalid_argument(std::to_string(frames) + " latent frames are no whole blocks of " +
                                        std::to_string(block));
        }
    }
    ChunkPlan plan{
        setting.frames / block, setting.prefixFrames / block, static_cast<int>(timesteps.size()), {}};
    for (const auto& matrixRow : timestepMatrix(setting, timesteps)) {
        ChunkRow row;
        for (int f = matrixRow.firstFrame; f < matrixRow.endFrame; f += block) {
            const auto frame = static_cast<std::size_t>(f);
            // Step index 1 is a block's first step, 0 a block that has not begun.
            row.push_back({f / block, std::clamp(matrixRow.stepIndex[frame] - 1, 0, plan.steps),
                           matrixRow.timesteps[frame], matrixRow.advances[frame]});
        }
        plan.rows.push_back(std::move(row));
    }
    return plan;
}

ChunkPlan sequentialChunkPlan(int chunks, const std::vector<double>& timesteps) {
    if (chunks < 1 || timesteps.empty())
        throw std::invalid_argument("a chunk-wise clip needs at least one chunk and one step");
    ChunkPlan plan{chunks, 0, static_cast<int>(timesteps.size()), {}};
    for (int chunk = 0; chunk < chunks; ++chunk) {
        for (int step = 0; step < plan.steps; ++step)
            plan.rows.push_back({{chunk, step, timesteps[static_cast<std::size_t>(step)], true}});
    }
    return plan;
}

} // namespace canopy::accel
