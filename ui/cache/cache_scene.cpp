#include "ui/cache/cache_scene.h"

#include <algorithm>

namespace canopy::ui {
namespace {

CacheState stateOf(ChunkDecision decision) {
    switch (decision) {
    case ChunkDecision::Reuse:
        return CacheState::Reused;
    case ChunkDecision::WarmUp:
    case ChunkDecision::Forced:
        return CacheState::Forced;
    case ChunkDecision::Compute:
    case ChunkDecision::New:
        break;
    }
    return CacheState::Computed;
}

CacheReason reasonOf(ChunkDecision decision) {
    switch (decision) {
    case ChunkDecision::WarmUp:
        return CacheReason::WarmUp;
    case ChunkDecision::Forced:
        return CacheReason::Forced;
    case ChunkDecision::New:
        return CacheReason::First;
    case ChunkDecision::Compute:
    case ChunkDecision::Reuse:
        break;
    }
    return CacheReason::Threshold;
}

/// First frame of the clip that a latent frame decodes to: the first latent is one frame, later ones four.
int firstFrameOf(int latent) {
    return latent == 0 ? 0 : 4 * latent - 3;
}

void layOut(CacheScene& scene, const ChunkRun& run) {
    scene.policy = run.policy;
    scene.threshold = run.threshold;
    scene.steps = run.steps;
    scene.rows = run.rows;
    scene.gridRows = run.tokenRows;
    scene.gridColumns = run.tokenColumns;
    for (int c = 0; c < run.chunks; ++c) {
        CacheChunk chunk;
        chunk.firstLatent = c * run.chunkFrames;
        chunk.latents = run.chunkFrames;
        chunk.firstFrame = firstFrameOf(chunk.firstLatent);
        chunk.frames = firstFrameOf(chunk.firstLatent + chunk.latents) - chunk.firstFrame;
        chunk.given = !run.segments.empty() && c < run.segments.front().prefixChunks;
        scene.chunks.push_back(chunk);
    }
    scene.cells.resize(std::size_t(run.chunks) * std::size_t(run.steps));
    scene.kept.resize(std::size_t(run.chunks));
    scene.chunkSaved.resize(std::size_t(run.chunks), 0);
    for (std::size_t k = 0; k < run.staticReuse.size(); ++k)
        scene.planned.push_back(run.staticReuse[k]    ? CacheState::Reused
                                : int(k) < run.warmup ? CacheState::Forced
                                                      : CacheState::Computed);
}

void takeRow(CacheScene& scene, const ChunkRowRecord& row, const std::vector<int>& doneAtRow) {
    for (const auto& step : row.chunks) {
        auto& cell = scene.cells[std::size_t(step.chunk) * std::size_t(scene.steps) + std::size_t(step.step)];
        cell.state = stateOf(step.decision);
        cell.reason = reasonOf(step.decision);
        cell.row = row.row;
        cell.timestep = step.time;
        cell.change = step.change;
        cell.before = step.sumBefore;
        cell.after = step.sumAfter;
        cell.tokens = step.tokens;
        cell.contextTokens = step.contextTokens;
        cell.seconds = step.milliseconds / 1000;
    }
    KvRow memory;
    memory.row = row.row;
    for (const auto& range : row.kv.ranges) {
        const int done = doneAtRow[std::size_t(range.chunk)];
        (done >= 0 && done < row.row ? memory.finishedRows : memory.activeRows) += range.rows;
    }
    if (row.kv.capacityRows > 0)
        memory.bytes = row.kv.bytes * std::uint64_t(row.kv.usedRows) / std::uint64_t(row.kv.capacityRows);
    scene.memory.push_back(memory);
    scene.capacityRows = row.kv.capacityRows;
    scene.capacityBytes = row.kv.bytes;
}

void takeKept(CacheScene& scene, const ChunkRecord& record) {
    const int latents = record.run->chunkFrames;
    if (record.rows.empty())
        return;
    for (const auto& range : record.rows.back().kv.ranges)
        scene.kept[std::size_t(range.chunk)] = KeptKeys{1, std::vector<double>(std::size_t(latents), 1), {}};
    for (const auto& event : record.compressions) {
        scene.squeezes.push_back({event.row, event.rowsBefore, event.rowsAfter});
        for (const auto& frame : event.frames) {
            auto& kept = scene.kept[std::size_t(frame.chunk)];
            if (!kept || kept->places.empty())
                kept = KeptKeys{0, std::vector<double>(std::size_t(latents), 0),
                                std::vector<std::vector<double>>(
                                    std::size_t(latents),
                                    std::vector<double>(std::size_t(scene.gridRows * scene.gridColumns), 0))};
            const auto l = std::size_t(frame.frame - frame.chunk * latents);
            if (l >= kept->latentShares.size())
                continue;
            kept->latentShares[l] = frame.kept;
            for (std::size_t i = 0; i < std::min(frame.keptMap.size(), kept->places[l].size()); ++i)
                kept->places[l][i] = frame.keptMap[i] / 255.0;
        }
    }
    for (auto& kept : scene.kept)
        if (kept && !kept->places.empty()) {
            kept->share = 0;
            for (const double share : kept->latentShares)
                kept->share += share / double(latents);
        }
}

/// Tokens that a chunk's queries would see with every earlier key in memory.
double fullContext(const ChunkRun& run, const ChunkRowRecord& row, int chunk) {
    int first = 0;
    if (std::size_t(row.segment) < run.segments.size())
        first = run.segments[std::size_t(row.segment)].firstChunk;
    return double(chunk - first + 1) * run.chunkTokens();
}

/// Predicted savings, by the cost model of flow-cache.md 9 at the rate that this run's computed steps had.
void takeTotals(CacheScene& scene, const ChunkRecord& record, double denoiseSeconds) {
    const ChunkRun& run = *record.run;
    auto& totals = scene.totals;
    const auto flop = [&](double context) {
        const double tokens = std::max(1, run.chunkTokens());
        return run.branches * (run.flopPerChunkStep + context / tokens * run.flopPerContextChunk);
    };
    double computedSeconds = 0;
    for (const auto& row : record.rows) {
        totals.rowSeconds += row.milliseconds / 1000;
        for (const auto& step : row.chunks)
            if (step.decision != ChunkDecision::Reuse) {
                computedSeconds += step.milliseconds / 1000;
                totals.computedFlop += flop(step.contextTokens);
            }
    }
    const double secondsPerFlop = totals.computedFlop > 0 ? computedSeconds / totals.computedFlop : 0;
    for (const auto& row : record.rows)
        for (const auto& step : row.chunks) {
            double seen = step.contextTokens;
            const bool reused = step.decision == ChunkDecision::Reuse;
            if (reused) // it would have seen what the memory holds up to its own chunk
                for (const auto& range : row.kv.ranges)
                    if (range.chunk == step.chunk)
                        seen = double(range.first + range.rows);
            const double full = std::max(seen, fullContext(run, row, step.chunk));
            totals.denseFlop += flop(full);
            totals.squeezeSeconds += (flop(full) - flop(seen)) * secondsPerFlop;
            (reused ? totals.reused : totals.computed) += 1;
            if (reused) {
                const double saved = flop(seen) * secondsPerFlop - step.milliseconds / 1000;
                totals.reuseSeconds += saved;
                scene.chunkSaved[std::size_t(step.chunk)] += saved;
            }
        }
    totals.clock = denoiseSeconds > 0;
    totals.measuredSeconds = totals.clock ? denoiseSeconds : totals.rowSeconds;
}

} // namespace

CacheScene cacheSceneOf(const ChunkRecord& record, double denoiseSeconds) {
    CacheScene scene;
    if (!record.run)
        return scene;
    layOut(scene, *record.run);
    std::vector<int> doneAtRow(scene.chunks.size(), -1);
    for (const auto& done : record.done) {
        doneAtRow[std::size_t(done.chunk)] = done.row;
        scene.chunks[std::size_t(done.chunk)].done = true;
    }
    for (const auto& row : record.rows)
        takeRow(scene, row, doneAtRow);
    takeKept(scene, record);
    takeTotals(scene, record, denoiseSeconds);
    return scene;
}

int CacheScene::chunkAt(int frame) const {
    for (int i = 0; i < chunkCount(); ++i) {
        const auto& chunk = chunks[std::size_t(i)];
        if (frame >= chunk.firstFrame && frame < chunk.firstFrame + chunk.frames)
            return i;
    }
    return -1;
}

int CacheScene::stepsRun(int chunk) const {
    int n = 0;
    for (int step = 0; step < steps; ++step)
        n += cell(chunk, step).state != CacheState::NotRun;
    return n;
}

int CacheScene::stepsReused(int chunk) const {
    int n = 0;
    for (int step = 0; step < steps; ++step)
        n += cell(chunk, step).state == CacheState::Reused;
    return n;
}

double CacheScene::savedSeconds(int chunk) const {
    return std::size_t(chunk) < chunkSaved.size() ? chunkSaved[std::size_t(chunk)] : 0;
}

} // namespace canopy::ui
