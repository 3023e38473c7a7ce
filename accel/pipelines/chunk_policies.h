#pragma once

#include <memory>
#include <vector>

#include "accel/pipelines/denoise_chunks.h"
#include "accel/policies/cache/rescale_polynomials.h"
#include "accel/policies/cache/static_timestep_l1.h"
#include "core/job/chunk_layout.h"
#include "core/job/generation_request.h"

namespace canopy::accel {

/// The polynomial from the change of time features to that of the output: the request's (which holds the
/// model's own calibration where it has one), else the checkpoint's published one. Throws JobError where a
/// method needs one and there is none; the identity for methods that read none.
RescalePolynomial rescaleFor(const GenerationRequest& request, const ModelDefaults& model);

/// FlowCache's map over the steps of a chunk, the same for all of them: flow-cache.md 3.4. Empty for other
/// methods. A hit rate becomes a threshold here, which `settings` then holds in its place.
StaticMap staticReuse(const WanDit& dit, const FlowSchedule& schedule, int fpsIndex,
                      const RescalePolynomial& rescale, ChunkSettings& settings);

/// The policy of one segment, with decisions over `state`, which must outlive it; null computes everything.
/// `firstChunk`: of the segment, since forced steps count chunks of the clip.
std::unique_ptr<RowPolicy> makeChunkPolicy(const ChunkSettings& settings, const WanDit& dit,
                                           const ChunkSampling& sampling, const ChunkedState& state,
                                           int fpsIndex, const RescalePolynomial& rescale,
                                           const StaticMap& map, int firstChunk);

/// The plan, solver and memory of one segment of a resolved request.
ChunkSampling chunkSampling(const GenerationRequest& request, const ChunkLayout& layout,
                            const ChunkSegment& segment, const FlowSchedule& schedule,
                            std::int64_t tokensPerFrame);

/// What is known before the first row. `map` of FlowCache over time, else empty.
ChunkRun chunkRun(const GenerationRequest& request, const ChunkLayout& layout, const WanDit& dit,
                  const TokenGrid& frame, int textTokens, const FlowSchedule& schedule, const StaticMap& map);

} // namespace canopy::accel
