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
    const int made = totals.reused + totals.computed;
    totals.hitRate = made > 0 ? static_cast<double>(totals.reused) / made : 0;
    return totals;
}

} // namespace canopy
