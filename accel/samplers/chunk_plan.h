#pragma once

#include <cstdint>
#include <vector>

#include "accel/samplers/timestep_matrix.h"

namespace canopy::accel {

/// One chunk in one row of a chunk-wise schedule.
struct ChunkCall {
    int chunk = 0;
    int localStep = 0;  ///< steps the chunk has made before
    double time = 0;    ///< what the transformer is told: MAGI-1 0 (noise) .. 1 (clean), SkyReels 999 .. 0
    bool update = true; ///< its latents change; false: present as context (a chunk finished or not begun)
};

/// Chunks of a row, ascending.
using ChunkRow = std::vector<ChunkCall>;

/// A chunk-wise schedule without tensors, the same for every model: flow-cache.md 2.
struct ChunkPlan {
    int chunks = 0;
    int prefixChunks = 0; ///< finished from the start, never denoised
    int steps = 0;        ///< every other chunk makes exactly so many
    std::vector<ChunkRow> rows;
};

/// Which offsets of each quarter MAGI-1's 12-step models visit; other step counts use an even grid.
enum class MagiShortcut { Early /**< "16,16,8" */, Late /**< "8,16,16" */ };

struct MagiSetting {
    int chunks = 0;       ///< prefix included
    int window = 4;       ///< most chunks in flight; divides steps
    int steps = 0;        ///< per chunk
    int prefixChunks = 0; ///< of a given video
    MagiShortcut shortcut = MagiShortcut::Late;
};

/// Times of `steps` steps, steps + 1 values from 0 to 1: s^2 / (3 - 2 s^2), flow-cache.md 2.1.
/// Throws std::invalid_argument below one step.
std::vector<double> magiTimes(int steps, MagiShortcut shortcut = MagiShortcut::Late);
/// Lengths of the steps in units of the finest one: what distilled models are told. `steps` values.
std::vector<double> magiIntervals(int steps, MagiShortcut shortcut = MagiShortcut::Late);
/// MAGI-1's staircase: a chunk enters every steps / window rows. Throws std::invalid_argument for a setting
/// that has no schedule.
ChunkPlan magiPlan(const MagiSetting& setting);

/// Tokens [first, end) that a chunk of a MAGI-1 row may see, its own included. `window[q]` is the number of
/// chunks seen in the q-th equal part of its steps; empty: all chunks before.
struct TokenRange {
    std::int64_t first = 0;
    std::int64_t end = 0;
};
TokenRange magiKeyRange(const ChunkCall& call, int steps, std::int64_t chunkTokens,
                        const std::vector<int>& window);

/// SkyReels-V2's synchronous (arStep 0) and asynchronous schedules, blocks as chunks, over the solver's
/// timesteps: flow-cache.md 2.2. Throws std::invalid_argument when frames or base are not whole blocks, and
/// as timestepMatrix().
ChunkPlan forcingChunkPlan(const DiffusionForcingSetting& setting, const std::vector<double>& timesteps);
/// One block after the other, each from noise to clean before the next begins.
ChunkPlan sequentialChunkPlan(int chunks, const std::vector<double>& timesteps);

} // namespace canopy::accel
