#include "accel/pipelines/generate_chunks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <utility>

#include "accel/pipelines/chunk_policies.h"

namespace canopy::accel {

namespace {

/// Noise of given frames: another draw than the clip's, and one for each segment.
at::Tensor givenNoise(const GenerationRequest& request, const at::Tensor& latents, int segment) {
    const auto seed = request.seed + 1 + static_cast<std::uint64_t>(segment);
    return at::randn(latents.sizes(), at::detail::createCPUGenerator(seed), at::TensorOptions(at::kFloat))
        .to(latents.device());
}

/// A segment's own counting to the clip's.
void shift(ChunkRecord& part, int segment, int firstChunk, int firstRow, int chunkFrames, double seconds) {
    for (auto& row : part.rows) {
        row.row += firstRow;
        row.segment = segment;
        for (auto& step : row.chunks)
            step.chunk += firstChunk;
        for (auto& range : row.kv.ranges)
            range.chunk += firstChunk;
    }
    for (auto& squeezed : part.compressions) {
        squeezed.row += firstRow;
        squeezed.segment = segment;
        for (auto& chunk : squeezed.chunks)
            chunk += firstChunk;
        for (auto& frame : squeezed.frames) {
            frame.chunk += firstChunk;
            frame.frame += firstChunk * chunkFrames;
        }
    }
    for (auto& done : part.done) {
        done.chunk += firstChunk;
        done.row += firstRow;
        done.segment = segment;
        done.seconds += seconds;
    }
}

} // namespace

at::Tensor generateChunks(const WanDit& dit, const Conditioning& conditioning, const ModelDefaults& model,
                          GenerationRequest& request, at::Tensor latents, AttentionPolicy* attention,
                          const ChunkClipEvents& events, const std::stop_token& stop) {
    const ChunkLayout layout = chunkLayout(request, model);
    const auto schedule = request.sampler == Sampler::UniPc
                              ? uniPcSchedule(request.steps, request.shift, request.timeGrid)
                              : plainSchedule(request.steps, request.shift);
    const auto rescale = rescaleFor(request, model);
    const auto map = staticReuse(dit, schedule, conditioning.fpsIndex, rescale, request.chunks);
    const auto frame = dit.grid(latents);
    const ChunkRun run =
        chunkRun(request, layout, dit, frame, static_cast<int>(conditioning.prompt.size(0)), schedule, map);
    if (events.begin)
        events.begin(run.rows);
    if (events.record) {
        ChunkRecord first;
        first.run = run;
        events.record(first);
    }
    int firstRow = 0;
    double seconds = 0;
    for (std::size_t i = 0; i < layout.segments.size(); ++i) {
        const auto& segment = layout.segments[i];
        auto sampling = chunkSampling(request, layout, segment, schedule, frame.tokensPerFrame());
        sampling.heldFrames = i == 0 ? layout.heldFrames : 0;
        const std::int64_t first = std::int64_t{segment.firstChunk} * layout.chunkFrames;
        const std::int64_t frames = std::int64_t{segment.chunks} * layout.chunkFrames;
        const auto own = latents.narrow(1, first, frames).clone();
        const auto noise =
            sampling.givenTime > 0 ? givenNoise(request, own, static_cast<int>(i)) : at::Tensor();
        auto state = startChunks(dit, sampling, conditioning.negative.defined(), own, noise);
        const auto policy = makeChunkPolicy(request.chunks, dit, sampling, state, conditioning.fpsIndex,
                                            rescale, map, segment.firstChunk);
        ChunkEvents inner;
        inner.steps = events.steps;
        if (events.steps.rowDone)
            inner.steps.rowDone = [&](int row, int, double rowSeconds) {
                seconds += rowSeconds;
                events.steps.rowDone(firstRow + row, run.rows, rowSeconds);
            };
        if (events.steps.clean)
            inner.steps.clean = [&](int row, const at::Tensor& clean) {
                // What has begun, behind all that was made before.
                int newest = segment.firstChunk + segment.prefixChunks;
                for (int c = 0; c < segment.chunks; ++c) {
                    if (state.chunks[static_cast<std::size_t>(c)].solver.step > 0)
                        newest = std::max(newest, segment.firstChunk + c);
                }
                auto whole = latents.narrow(1, 0, first + frames).clone();
                whole.narrow(1, first, frames).copy_(clean);
                events.steps.clean(firstRow + row,
                                   whole.narrow(1, 0, (newest + std::int64_t{1}) * layout.chunkFrames));
            };
        int done = 0; // chunks of the segment that are told as finished
        if (events.finished)
            inner.rowEnded = [&] {
                int now = std::max(done, segment.prefixChunks);
                while (now < segment.chunks &&
                       state.chunks[static_cast<std::size_t>(now)].solver.step >= request.steps)
                    ++now;
                if (now == done)
                    return;
                done = now;
                const std::int64_t ready = std::int64_t{done} * layout.chunkFrames;
                latents.narrow(1, first, ready).copy_(state.latents.narrow(1, 0, ready));
                events.finished(latents, first + ready);
            };
        const double before = seconds;
        if (events.record)
            inner.record = [&](ChunkRecord part) {
                shift(part, static_cast<int>(i), segment.firstChunk, firstRow, layout.chunkFrames, before);
                events.record(part);
            };
        if (inner.rowEnded)
            inner.rowEnded(); // what is given is finished
        denoiseChunks(dit, conditioning, sampling, state, policy.get(), attention, inner, stop);
        latents.narrow(1, first, frames).copy_(state.latents);
        firstRow += static_cast<int>(sampling.plan.rows.size());
    }
    return latents;
}

} // namespace canopy::accel
