#include "accel/pipelines/generate_chunks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "accel/pipelines/chunk_policies.h"
#include "accel/pipelines/chunk_state.h"
#include "accel/runtime/cancelled.h"
#include "accel/runtime/job_error.h"

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

/// Saves one segment's state as the clip's.
class SegmentSaver {
public:
    SegmentSaver(const StateSaving& saving, const GenerationRequest& request, int segment,
                 const ChunkSampling& sampling, const ChunkedState& state, const RowPolicy* policy,
                 SamplingPoint start)
        : m_saving(saving)
        , m_request(request)
        , m_segment(segment)
        , m_sampling(sampling)
        , m_state(state)
        , m_policy(policy)
        , m_start(start) {}

    /// `latents`: the clip's, those of the segment as they were before it.
    void saveIfWanted(const at::Tensor& latents, int firstFrame, bool stopped) const {
        if (!m_saving.wanted || (m_segment == 0 && m_state.row == 0) || !m_saving.wanted(stopped))
            return;
        SamplingPoint point = pointOf();
        StateParts parts = partsOf(m_state, latents, firstFrame);
        if (bytesOf(parts) > m_saving.budgetBytes) {
            point.exact = false;
            parts = withoutKeys(std::move(parts));
        }
        m_saving.take(point, writeState(parts, point, m_request));
    }

private:
    SamplingPoint pointOf() const {
        SamplingPoint point = m_start;
        point.row += m_state.row;
        for (int c = 0; c < m_sampling.plan.chunks; ++c) {
            const int step = m_state.chunks[static_cast<std::size_t>(c)].solver.step;
            if (step > 0 && c >= m_sampling.plan.prefixChunks) {
                point.chunk = m_start.chunk + c;
                point.step = step;
            }
        }
        return point;
    }

    StateParts partsOf(const ChunkedState& state, const at::Tensor& latents, int firstFrame) const {
        StateParts parts;
        saveChunks(state, parts);
        if (m_policy)
            m_policy->save(parts);
        auto whole = latents.clone();
        whole.narrow(1, firstFrame, state.latents.size(1)).copy_(state.latents);
        parts.put("latents", whole);
        parts.values.set("segment", m_segment);
        return parts;
    }

    /// What dropKeys() drops from the running state is not written; the reader drops the rest.
    static StateParts withoutKeys(StateParts parts) {
        std::erase_if(parts.tensors, [](const auto& entry) {
            const std::string& name = entry.first;
            return name.starts_with("keys.") || name.starts_with("values.") || name.starts_with("origins.") ||
                   name.starts_with("queries.") || name.ends_with(".update") ||
                   name.find(".residual.") != std::string::npos;
        });
        parts.values.set("ranges", Value::Array{});
        return parts;
    }

    const StateSaving& m_saving;
    const GenerationRequest& m_request;
    const int m_segment;
    const ChunkSampling& m_sampling;
    const ChunkedState& m_state;
    const RowPolicy* m_policy;
    const SamplingPoint m_start; ///< of the segment's first row and chunk
};

/// A saved clip's state, and which segment it is in the middle of.
struct SavedClip {
    StateParts parts;
    SamplingPoint point;
    std::size_t segment = 0;
};

SavedClip readClip(const GenerationRequest& request, const at::Tensor& shape, std::size_t segments) {
    SavedClip saved;
    saved.parts = readState(request.resumeStatePath, request, shape.device(), &saved.point);
    const auto segment = saved.parts.values["segment"].asInt(-1);
    const auto latents = saved.parts.get("latents");
    if (segment < 0 || static_cast<std::size_t>(segment) >= segments || !latents.defined() ||
        latents.sizes() != shape.sizes() || latents.scalar_type() != at::kFloat)
        throw JobError(ErrorCode::Mismatch, "The saved state does not fit this clip; start it anew. File: " +
                                                request.resumeStatePath);
    saved.segment = static_cast<std::size_t>(segment);
    return saved;
}

void restoreSegment(const SavedClip& saved, const ChunkPlan& plan, ChunkedState& state, RowPolicy* policy,
                    const std::string& path) {
    try {
        restoreChunks(saved.parts, state);
        if (policy)
            policy->restore(saved.parts);
    } catch (const std::invalid_argument& e) {
        throw JobError(ErrorCode::Mismatch, std::string("The saved state does not fit this clip (") +
                                                e.what() + "); start it anew. File: " + path);
    }
    if (!saved.point.exact)
        dropKeys(state, plan);
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
    std::optional<SavedClip> saved;
    if (!request.resumeStatePath.empty()) {
        saved = readClip(request, latents, layout.segments.size());
        latents = saved->parts.get("latents").clone();
        if (events.resumed)
            events.resumed(saved->point);
    }
    int firstRow = 0;
    double seconds = 0;
    for (std::size_t i = 0; i < layout.segments.size(); ++i) {
        const auto& segment = layout.segments[i];
        auto sampling = chunkSampling(request, layout, segment, schedule, frame.tokensPerFrame());
        sampling.heldFrames = i == 0 ? layout.heldFrames : 0;
        if (saved && i < saved->segment) {
            firstRow += static_cast<int>(sampling.plan.rows.size());
            continue;
        }
        const std::int64_t first = std::int64_t{segment.firstChunk} * layout.chunkFrames;
        const std::int64_t frames = std::int64_t{segment.chunks} * layout.chunkFrames;
        const auto own = latents.narrow(1, first, frames).clone();
        const auto noise =
            sampling.givenTime > 0 ? givenNoise(request, own, static_cast<int>(i)) : at::Tensor();
        auto state = startChunks(dit, sampling, conditioning.negative.defined(), own, noise);
        const auto policy = makeChunkPolicy(request.chunks, dit, sampling, state, conditioning.fpsIndex,
                                            rescale, map, segment.firstChunk);
        if (saved && i == saved->segment)
            restoreSegment(*saved, sampling.plan, state, policy.get(), request.resumeStatePath);
        const SegmentSaver saver(events.saving, request, static_cast<int>(i), sampling, state, policy.get(),
                                 {.row = firstRow,
                                  .rows = run.rows,
                                  .chunk = segment.firstChunk,
                                  .chunks = layout.chunks,
                                  .step = 0,
                                  .steps = request.steps});
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
        std::function<void()> tellFinished;
        if (events.finished)
            tellFinished = [&] {
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
        inner.rowEnded = [&] {
            saver.saveIfWanted(latents, static_cast<int>(first), false);
            if (tellFinished)
                tellFinished();
        };
        const double before = seconds;
        if (events.record)
            inner.record = [&](ChunkRecord part) {
                shift(part, static_cast<int>(i), segment.firstChunk, firstRow, layout.chunkFrames, before);
                events.record(part);
            };
        try {
            if (tellFinished)
                tellFinished(); // what is given is finished
            denoiseChunks(dit, conditioning, sampling, state, policy.get(), attention, inner, stop);
        } catch (const Cancelled&) {
            saver.saveIfWanted(latents, static_cast<int>(first), true);
            throw;
        }
        latents.narrow(1, first, frames).copy_(state.latents);
        firstRow += static_cast<int>(sampling.plan.rows.size());
    }
    return latents;
}

} // namespace canopy::accel
