#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

// What block-wise sampling did, for timelines, maps, exports and tests: flow-cache.md 11. "Chunk" is a block
// of latent frames that moves together, counted from the start of the clip.

namespace canopy {

/// Why a chunk's step was computed or not.
enum class ChunkDecision : std::uint8_t {
    Compute, ///< the accumulated change reached the threshold
    Reuse,   ///< the last update was repeated
    WarmUp,  ///< a first or last step that is never reused
    Forced,  ///< asked for by the person
    New,     ///< no earlier update to repeat, or the chunk was not in the row before
};
std::string_view chunkDecisionName(ChunkDecision v); ///< "compute", "reuse", "warm_up", "forced", "new"

/// A part of a clip that is sampled in one go. Its first `prefixChunks` chunks were finished before.
struct ChunkSegment {
    int firstChunk = 0;
    int chunks = 0; ///< prefix included
    int prefixChunks = 0;
    bool operator==(const ChunkSegment&) const = default;
};

/// Known before the first row.
struct ChunkRun {
    std::string policy;   ///< "always", "static_timestep", "latent_feature", "teacache", "fixed_mask"
    std::string quantity; ///< what a reused step repeats: "velocity", "increment", "residual"
    std::string finalize; ///< "none", "clean": a pass at time 0 over finished chunks
    int steps = 0;        ///< of each chunk
    int chunks = 0;       ///< of the clip, given frames included
    int rows = 0;         ///< over all segments
    int arStep = 0;       ///< steps between the starts of two chunks
    int chunkFrames = 0;  ///< latent frames of a chunk
    int tokenRows = 0;    ///< tokens of a latent frame: tokenRows x tokenColumns
    int tokenColumns = 0;
    int layers = 0;
    int heads = 0;
    int branches = 1;               ///< 2 with guidance
    int warmup = 0;                 ///< first steps of a chunk, computed
    double threshold = 0;           ///< of the accumulated change; 0 without reuse
    int kvBudgetChunks = 0;         ///< chunks whose keys fit; 0 = all
    double kvLambda = 0;            ///< share of importance when keys are chosen
    bool kvWindow = false;          ///< the oldest chunks are forgotten rather than squeezed
    std::vector<double> times;      ///< [steps]: what the transformer is told
    std::vector<bool> staticReuse;  ///< [steps] of the map that is known before sampling; else empty
    std::vector<double> staticSums; ///< [steps]: accumulated change of that map; else empty
    std::vector<ChunkSegment> segments;
    double flopPerChunkStep = 0;    ///< linear layers of one chunk in one branch, flow-cache.md 9
    double flopPerContextChunk = 0; ///< attention to one chunk of context, all layers, one branch

    int chunkTokens() const { return chunkFrames * tokenRows * tokenColumns; }
    bool operator==(const ChunkRun&) const = default;
};

/// One chunk in one row.
struct ChunkStepRecord {
    int chunk = 0;
    int step = 0;    ///< its own, from 0
    double time = 0; ///< what the transformer was told
    ChunkDecision decision = ChunkDecision::Compute;
    std::optional<double> change; ///< since the row before, rescaled; none where it was not asked
    double sumBefore = 0;         ///< accumulated change since the last computed step
    double sumAfter = 0;
    int tokens = 0;        ///< of the chunk
    int contextTokens = 0; ///< keys attended to, its own included; 0 where reused
    int keyAgeRows = 0;    ///< rows since its keys were written
    double milliseconds = 0;
    bool operator==(const ChunkStepRecord&) const = default;
};

/// Rows of one layer's key memory that hold a chunk; a squeezed range counts under the newest of its chunks.
struct KvRange {
    int chunk = 0;
    int first = 0;
    int rows = 0;
    bool operator==(const KvRange&) const = default;
};

/// Key memory after a row. All layers and branches hold equally many rows.
struct KvUse {
    int capacityRows = 0;
    int usedRows = 0;
    std::uint64_t bytes = 0; ///< of the whole pool, allocated once
    bool onDevice = false;   ///< on a card rather than in the machine's memory
    std::vector<KvRange> ranges;
    bool operator==(const KvUse&) const = default;
};

struct ChunkRowRecord {
    int row = 0;
    int segment = 0;
    double milliseconds = 0;
    std::vector<ChunkStepRecord> chunks; ///< that advanced, ascending
    KvUse kv;
    bool operator==(const ChunkRowRecord&) const = default;
};

/// What a compression left of one latent frame.
struct KeptFrame {
    int chunk = 0;   ///< it belongs to
    int frame = 0;   ///< latent frame of the clip
    double kept = 0; ///< share of its tokens' keys, mean over layers, branches and heads
    /// [tokenRows * tokenColumns]: share of layers, branches and heads that keep the token, 0 .. 255.
    std::vector<std::uint8_t> keptMap;
    bool operator==(const KeptFrame&) const = default;
};

/// Finished chunks squeezed, or forgotten, after a row.
struct KvCompressionRecord {
    int row = 0;
    int segment = 0;
    std::vector<int> chunks; ///< whose keys competed
    int rowsBefore = 0;      ///< per layer, of those chunks
    int rowsAfter = 0;
    double milliseconds = 0;
    std::vector<KeptFrame> frames; ///< of which any key was left before it
    bool operator==(const KvCompressionRecord&) const = default;
};

struct ChunkDone {
    int chunk = 0;
    int row = 0;
    int segment = 0;
    int computed = 0;
    int reused = 0;
    double seconds = 0; ///< since the sampling began
    bool operator==(const ChunkDone&) const = default;
};

/// Grows while a clip is made. What the worker sends after each row is a ChunkRecord that holds the new
/// entries only.
struct ChunkRecord {
    static constexpr int kVersion = 1;

    std::optional<ChunkRun> run; ///< in the first part only
    std::vector<ChunkRowRecord> rows;
    std::vector<KvCompressionRecord> compressions;
    std::vector<ChunkDone> done;

    bool operator==(const ChunkRecord&) const = default;
};

/// Adds a part that came later. A part with a run starts anew: sampling began again.
void append(ChunkRecord& record, ChunkRecord part);

struct ChunkTotals {
    int computed = 0; ///< chunk-steps
    int reused = 0;
    int possible = 0;   ///< of the whole clip
    double hitRate = 0; ///< reused over all so far
    double flop = 0;    ///< of the computed chunk-steps and the clean passes, all branches: flow-cache.md 9
    double flopNoReuse = 0; ///< of the same rows with every step computed
    double seconds = 0;     ///< measured, of the rows
    int oldestKeys = 0;     ///< rows: largest age of keys that were attended to
};
/// By the cost model of flow-cache.md 9: linear layers and attention to the measured context. A clean pass
/// counts as a chunk-step; given chunks are taken to be whole in memory when theirs runs.
ChunkTotals totalsOf(const ChunkRecord& record);

/// Map with "version" and one key per field; keptMap as bytes in CBOR, base64 text in JSON.
Value toValue(const ChunkRecord& record);
/// Checks every index and length against the run where the part has one.
Result<ChunkRecord> chunkRecordFromValue(const Value& value);
/// A part or a whole record as CBOR.
Result<ChunkRecord> chunkRecordFromBytes(std::span<const std::uint8_t> cbor);

} // namespace canopy
