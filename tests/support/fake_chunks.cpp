#include "tests/support/fake_chunks.h"

#include <algorithm>

#include "core/job/chunk_layout.h"

namespace canopy::test {
namespace {

constexpr int kChunkFrames = 3;
constexpr int kEdge = 4; // tokens of a frame are kEdge x kEdge
constexpr int kChunkTokens = kChunkFrames * kEdge * kEdge;

ChunkRun fakeRun(const GenerationRequest& r) {
    ChunkRun run;
    run.policy = "static_timestep";
    run.quantity = std::string(reusedQuantityName(r.chunks.quantity));
    run.finalize = std::string(finalizeKvName(r.chunks.finalize));
    run.steps = r.steps;
    run.chunks = (latentFrames(r.frames) + kChunkFrames - 1) / kChunkFrames;
    run.rows = run.steps * run.chunks;
    run.arStep = run.steps;
    run.chunkFrames = kChunkFrames;
    run.tokenRows = run.tokenColumns = kEdge;
    run.layers = 2;
    run.heads = 2;
    run.threshold = 0.1;
    for (int k = 0; k < run.steps; ++k) {
        run.times.push_back(1000.0 * (run.steps - k) / run.steps);
        run.staticReuse.push_back(k % 3 == 2);
        run.staticSums.push_back(k % 3 == 2 ? 0.05 : 0);
    }
    run.segments = {{0, run.chunks, 0}};
    run.flopPerChunkStep = 1e9;
    run.flopPerContextChunk = 1e8;
    return run;
}

} // namespace

ChunkRecord fakeChunkPart(const GenerationRequest& r, int row) {
    const ChunkRun run = fakeRun(r);
    const int chunk = row / run.steps;
    const int step = row % run.steps;
    const bool reused = run.staticReuse[static_cast<std::size_t>(step)];
    ChunkRecord part;
    if (row == 0)
        part.run = run;
    ChunkRowRecord record;
    record.row = row;
    record.milliseconds = reused ? 1 : 10;
    record.kv.capacityRows = run.chunks * kChunkTokens;
    record.kv.bytes = 1 << 16;
    for (int c = 0; c <= chunk; ++c)
        record.kv.ranges.push_back({c, c * kChunkTokens, kChunkTokens});
    record.kv.usedRows = (chunk + 1) * kChunkTokens;
    ChunkStepRecord one;
    one.chunk = chunk;
    one.step = step;
    one.time = run.times[static_cast<std::size_t>(step)];
    one.decision = step == 0 ? ChunkDecision::New : reused ? ChunkDecision::Reuse : ChunkDecision::Compute;
    if (step > 0)
        one.change = 0.05;
    one.sumAfter = reused ? 0.05 : 0;
    one.tokens = kChunkTokens;
    one.contextTokens = reused ? 0 : record.kv.usedRows;
    one.keyAgeRows = reused ? 1 : 0;
    one.milliseconds = record.milliseconds;
    record.chunks = {one};
    part.rows = {record};
    if (step + 1 == run.steps) {
        const auto reusedSteps =
            static_cast<int>(std::count(run.staticReuse.begin(), run.staticReuse.end(), true));
        part.done.push_back({chunk, row, 0, run.steps - reusedSteps, reusedSteps, 0.01 * row});
        if (chunk == 1) {
            KvCompressionRecord squeezed{row, 0, {0, 1}, 2 * kChunkTokens, kChunkTokens, 1, {}};
            for (int f = 0; f < 2 * kChunkFrames; ++f)
                squeezed.frames.push_back(
                    {f / kChunkFrames, f, 0.5, std::vector<std::uint8_t>(kEdge * kEdge, 128)});
            part.compressions.push_back(std::move(squeezed));
        }
    }
    return part;
}

int fakeChunkEnd(int chunk) {
    return pixelFrames((chunk + 1) * kChunkFrames);
}

ChunkRecord fakeChunkRecord(const GenerationRequest& r) {
    ChunkRecord all;
    for (int row = 0, rows = fakeRun(r).rows; row < rows; ++row)
        append(all, fakeChunkPart(r, row));
    return all;
}

} // namespace canopy::test
