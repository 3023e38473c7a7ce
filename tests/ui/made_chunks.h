#pragma once

#include <algorithm>
#include <cmath>

#include "core/job/chunk_record.h"

/// A hand-made chunk-wise run for the tests of the cache views: arithmetically consistent, from no model.
namespace canopy::ui::test {

struct MadeChunks {
    int chunks = 5;
    int steps = 30;
    int chunkFrames = 5;
    int arStep = 10;    ///< steps between the starts of two chunks
    int budget = 3;     ///< chunks whose keys fit
    int rows = 1 << 20; ///< of the schedule that have run
};

/// Chunks start `arStep` rows apart. A step changes by 0.02 to 0.06 and is reused below an accumulated 0.08;
/// the first three steps are warm-up. A finished chunk is squeezed with those before it as the next but one
/// begins. A computed step takes 0.4 s, a reused one 0.01 s.
inline ChunkRecord madeChunks(const MadeChunks& made = {}) {
    ChunkRecord record;
    ChunkRun run;
    run.policy = "latent_feature";
    run.quantity = "velocity";
    run.finalize = "none";
    run.steps = made.steps;
    run.chunks = made.chunks;
    run.arStep = made.arStep;
    run.rows = made.steps + made.arStep * (made.chunks - 1);
    run.chunkFrames = made.chunkFrames;
    run.tokenRows = 6;
    run.tokenColumns = 10;
    run.layers = 4;
    run.heads = 6;
    run.branches = 2;
    run.warmup = 3;
    run.threshold = 0.08;
    run.kvBudgetChunks = made.budget;
    run.flopPerChunkStep = 4e11;
    run.flopPerContextChunk = 1e11;
    for (int k = 0; k < made.steps; ++k)
        run.times.push_back(1000.0 * (made.steps - k) / made.steps);
    run.segments = {{0, made.chunks, 0}};
    record.run = run;
    const int tokens = run.chunkTokens();
    std::vector<double> sums(std::size_t(made.chunks), 0);
    int squeezedUpTo = -1;
    for (int row = 0; row < std::min(run.rows, made.rows); ++row) {
        ChunkRowRecord entry;
        entry.row = row;
        entry.kv.capacityRows = made.budget * tokens;
        entry.kv.bytes = std::uint64_t{3} << 20;
        int used = 0;
        const auto hold = [&](int chunk, int rows) {
            entry.kv.ranges.push_back({chunk, used, rows});
            used += rows;
        };
        if (squeezedUpTo >= 0)
            hold(squeezedUpTo, tokens);
        for (int c = squeezedUpTo + 1; c < made.chunks && c * made.arStep <= row; ++c)
            if (used + tokens <= entry.kv.capacityRows)
                hold(c, tokens);
        entry.kv.usedRows = used;
        for (int c = 0; c < made.chunks; ++c) {
            const int step = row - c * made.arStep;
            if (step < 0 || step >= made.steps)
                continue;
            ChunkStepRecord one;
            one.chunk = c;
            one.step = step;
            one.time = run.times[std::size_t(step)];
            one.tokens = tokens;
            one.sumBefore = sums[std::size_t(c)];
            if (step > 0)
                one.change = 0.04 + 0.02 * std::sin(step * 0.7 + c);
            const double reached = one.sumBefore + one.change.value_or(0);
            one.decision = step == 0                  ? ChunkDecision::New
                           : step < run.warmup        ? ChunkDecision::WarmUp
                           : reached >= run.threshold ? ChunkDecision::Compute
                                                      : ChunkDecision::Reuse;
            const bool reused = one.decision == ChunkDecision::Reuse;
            one.sumAfter = sums[std::size_t(c)] = reused ? reached : 0;
            one.contextTokens = 0;
            for (const auto& range : entry.kv.ranges)
                if (!reused && range.chunk <= c)
                    one.contextTokens += range.rows;
            one.milliseconds = reused ? 10 : 400;
            entry.milliseconds += one.milliseconds;
            entry.chunks.push_back(one);
            if (step + 1 == made.steps)
                record.done.push_back({c, row, 0, 0, 0, 0});
        }
        record.rows.push_back(entry);
        const bool chunkEnded = !record.done.empty() && record.done.back().row == row;
        const int ended = chunkEnded ? record.done.back().chunk : -1;
        if (ended >= 1 && ended + 1 < made.chunks) {
            KvCompressionRecord event;
            event.row = row;
            event.rowsBefore = 2 * tokens;
            event.rowsAfter = tokens;
            for (int c = 0; c <= ended; ++c)
                event.chunks.push_back(c);
            for (int f = 0; f < (ended + 1) * made.chunkFrames; ++f) {
                KeptFrame frame{f / made.chunkFrames, f, 0, {}};
                double sum = 0;
                for (int i = 0; i < run.tokenRows * run.tokenColumns; ++i) {
                    const double place = 0.5 + 0.5 * std::sin(i * 0.35 + f * 0.5);
                    frame.keptMap.push_back(std::uint8_t(255 * place / double(ended - frame.chunk + 1)));
                    sum += frame.keptMap.back() / 255.0;
                }
                frame.kept = sum / (run.tokenRows * run.tokenColumns);
                event.frames.push_back(std::move(frame));
            }
            record.compressions.push_back(std::move(event));
            squeezedUpTo = ended;
        }
    }
    return record;
}

} // namespace canopy::ui::test
