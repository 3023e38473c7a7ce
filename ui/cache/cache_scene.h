#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/job/chunk_record.h"

namespace canopy::ui {

enum class CacheState : std::uint8_t { NotRun, Computed, Reused, Forced /**< warm-up included */ };
/// Why a step was computed or reused.
enum class CacheReason : std::uint8_t { None, Threshold, WarmUp, Forced, First /**< nothing to reuse yet */ };

/// One step of one chunk.
struct CacheCell {
    CacheState state = CacheState::NotRun;
    CacheReason reason = CacheReason::None;
    int row = -1; ///< of the schedule; -1 = not run
    double timestep = 0;
    std::optional<double> change; ///< against the chunk's step before; missing where the policy looks at none
    double before = 0;            ///< accumulated change as the step began
    double after = 0;
    std::int64_t tokens = 0;
    std::int64_t contextTokens = 0; ///< keys its queries saw, its own included
    double seconds = 0;             ///< its share of the row's measured time

    /// What stands against the threshold.
    double reached() const { return before + change.value_or(0); }
};

struct CacheChunk {
    int firstFrame = 0; ///< of the clip
    int frames = 0;
    int firstLatent = 0;
    int latents = 0;
    bool given = false; ///< from a video or image: never denoised
    bool done = false;
};

/// Keys and values in memory after a row.
struct KvRow {
    int row = 0;
    std::int64_t finishedRows = 0; ///< tokens of finished chunks, squeezed or not
    std::int64_t activeRows = 0;   ///< of chunks in flight
    std::uint64_t bytes = 0;       ///< of both
};

/// One squeezing of finished chunks.
struct KvSqueeze {
    int row = 0;
    std::int64_t tokensBefore = 0;
    std::int64_t budget = 0;
};

/// Share of a chunk's keys that are still in memory, mean over layers, branches and heads.
struct KeptKeys {
    double share = 1;                 ///< of the chunk
    std::vector<double> latentShares; ///< [latents]
    /// [latents][gridRows * gridColumns]; empty where places inside a frame were not recorded.
    std::vector<std::vector<double>> places;
};

/// Where the time went, as far as rows have run. Seconds and operations of the denoising only.
struct CacheTotals {
    int computed = 0; ///< chunk steps, forced ones included
    int reused = 0;
    bool clock = false;         ///< the clock's time is known
    double measuredSeconds = 0; ///< of the denoising, by the clock; without one the rows' sum
    double rowSeconds = 0;      ///< sum of the rows
    double reuseSeconds = 0;    ///< saved, predicted: what the reused steps would have taken
    double squeezeSeconds = 0;  ///< saved, predicted: keys that no query had to look at
    double computedFlop = 0;    ///< estimated: flow-cache.md 9
    double denseFlop = 0;       ///< of every step run so far, all keys in memory

    double denseSeconds() const { return measuredSeconds + reuseSeconds + squeezeSeconds; }
    double factor() const { return measuredSeconds > 0 ? denseSeconds() / measuredSeconds : 1; }
    double modelFactor() const { return computedFlop > 0 ? denseFlop / computedFlop : 1; }
    double hitRate() const { return computed + reused > 0 ? double(reused) / (computed + reused) : 0; }
};

/// A chunk-wise run as the cache views show it: values only, no engine. One at a time is current; views keep
/// it by a shared pointer.
struct CacheScene {
    std::string policy;   ///< as ChunkRun::policy
    double threshold = 0; ///< 0 = the policy has none
    int steps = 0;
    int rows = 0; ///< of the whole schedule
    std::vector<CacheChunk> chunks;
    std::vector<CacheCell> cells;    ///< [chunk * steps + step]
    std::vector<CacheState> planned; ///< [step], known before sampling (static maps); else empty
    std::vector<KvRow> memory;       ///< ascending rows
    std::vector<KvSqueeze> squeezes;
    std::vector<std::optional<KeptKeys>> kept; ///< [chunk]; nothing = not in memory
    std::int64_t capacityRows = 0;             ///< tokens that the memory of keys holds
    std::uint64_t capacityBytes = 0;
    int gridRows = 0, gridColumns = 0; ///< token grid of a latent frame
    CacheTotals totals;

    bool isEmpty() const { return chunks.empty() || steps == 0; }
    int chunkCount() const { return int(chunks.size()); }
    int frames() const { return isEmpty() ? 0 : chunks.back().firstFrame + chunks.back().frames; }
    const CacheCell& cell(int chunk, int step) const {
        return cells[std::size_t(chunk) * std::size_t(steps) + std::size_t(step)];
    }
    /// Chunk that a frame of the clip belongs to; -1 outside.
    int chunkAt(int frame) const;
    int stepsRun(int chunk) const;
    int stepsReused(int chunk) const;
    /// Predicted seconds that reuse saved in a chunk; see CacheTotals::reuseSeconds.
    double savedSeconds(int chunk) const;
    std::vector<double> chunkSaved; ///< [chunk], filled with the totals
};

/// The record as it stands, also of a run that is under way; empty before the run is known. `denoiseSeconds`
/// is the clock's time for all of it; 0 = not known, then the rows' sum stands for it.
CacheScene cacheSceneOf(const ChunkRecord& record, double denoiseSeconds = 0);

} // namespace canopy::ui
