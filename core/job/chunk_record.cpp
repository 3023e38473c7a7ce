#include "core/job/chunk_record.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace canopy {
namespace {

template <typename T>
void moveBehind(std::vector<T>& all, std::vector<T>&& more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

/// Chunks of keys that passes at time 0 attended to, each pass's own included, and their number.
struct CleanPasses {
    int count = 0;
    double contextChunks = 0;
};

CleanPasses cleanPasses(const ChunkRecord& record) {
    CleanPasses passes;
    const ChunkRun& run = *record.run;
    const auto isBegun = [&](int segment, int afterRow) {
        return std::any_of(record.rows.begin(), record.rows.end(), [&](const ChunkRowRecord& row) {
            return row.segment == segment && row.row > afterRow;
        });
    };
    for (std::size_t s = 0; s < run.segments.size(); ++s)
        for (int c = 0; c < run.segments[s].prefixChunks && isBegun(static_cast<int>(s), -1); ++c) {
            ++passes.count;
            passes.contextChunks += c + 1;
        }
    const double tokens = run.chunkTokens();
    for (const ChunkDone& done : record.done) {
        // A finished chunk is passed once more when another row follows that may read its keys.
        if (run.finalize != "clean" || tokens <= 0 || !isBegun(done.segment, done.row))
            continue;
        for (const ChunkRowRecord& row : record.rows)
            for (const KvRange& range : row.kv.ranges)
                if (row.row == done.row && range.chunk == done.chunk) {
                    ++passes.count;
                    passes.contextChunks += (range.first + range.rows) / tokens;
                }
    }
    return passes;
}

} // namespace

void append(ChunkRecord& record, ChunkRecord part) {
    if (part.run) {
        record = std::move(part);
        return;
    }
    moveBehind(record.rows, std::move(part.rows));
    moveBehind(record.compressions, std::move(part.compressions));
    moveBehind(record.done, std::move(part.done));
}

ChunkTotals totalsOf(const ChunkRecord& record) {
    ChunkTotals totals;
    if (!record.run)
        return totals;
    const ChunkRun& run = *record.run;
    for (const ChunkSegment& segment : run.segments)
        totals.possible += (segment.chunks - segment.prefixChunks) * run.steps;
    const double tokens = run.chunkTokens();
    for (const ChunkRowRecord& row : record.rows) {
        totals.seconds += row.milliseconds / 1000;
        for (const ChunkStepRecord& step : row.chunks) {
            const bool reused = step.decision == ChunkDecision::Reuse;
            // A reused step would have seen what the rows up to the chunk's own hold.
            double context = step.contextTokens;
            for (const KvRange& range : row.kv.ranges)
                if (reused && range.chunk == step.chunk)
                    context = range.first + range.rows;
            const double flop = run.branches * (run.flopPerChunkStep + (tokens > 0 ? context / tokens : 0) *
                                                                           run.flopPerContextChunk);
            totals.flopNoReuse += flop;
            totals.flop += reused ? 0 : flop;
            (reused ? totals.reused : totals.computed) += 1;
            totals.oldestKeys = std::max(totals.oldestKeys, step.keyAgeRows);
        }
    }
    const CleanPasses clean = cleanPasses(record);
    const double passes =
        run.branches * (clean.count * run.flopPerChunkStep + clean.contextChunks * run.flopPerContextChunk);
    totals.flop += passes;
    totals.flopNoReuse += passes;
    const int made = totals.reused + totals.computed;
    totals.hitRate = made > 0 ? static_cast<double>(totals.reused) / made : 0;
    return totals;
}

} // namespace canopy
