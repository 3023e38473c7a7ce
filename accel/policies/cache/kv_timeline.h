#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "accel/samplers/chunk_plan.h"

namespace canopy::accel {

/// Finished chunks squeezed together after a row.
struct CompressionEvent {
    int row = 0;
    std::vector<int> clean;        ///< chunks whose keys compete, ascending
    std::vector<int> active;       ///< chunks in flight: untouched
    std::int64_t tokensBefore = 0; ///< of the clean chunks
    std::int64_t budget = 0;       ///< tokens kept of them
    std::int64_t nextFree = 0;     ///< row where the next chunk will be written
};

/// Rows of keys in memory over a MAGI-1 clip, known before anything runs.
struct KvTimeline {
    std::vector<CompressionEvent> events;
    /// [chunk][stage]: tokens seen at the first row of each of its stages, in chunks, its own included.
    std::vector<std::vector<double>> context;
    std::int64_t peakRows = 0;
    std::optional<int> overflowRow; ///< a chunk finds no room in this row; nothing after it is filled in
};

/// When memory of `capacityChunks` is full and a chunk is about to enter, clean chunks give one chunk's room:
/// flow-cache.md 4.2. A capacity of at least window + 1 never overflows. `plan` is MAGI-1's with a stage of
/// `stageRows` rows.
KvTimeline kvTimeline(const ChunkPlan& plan, int stageRows, int capacityChunks, std::int64_t chunkTokens);

} // namespace canopy::accel
