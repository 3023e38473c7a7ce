#pragma once

#include "accel/pipelines/denoise_chunks.h"
#include "accel/policies/state_parts.h"

namespace canopy::accel {

/// Everything of a segment's state but its latents, between two rows.
void saveChunks(const ChunkedState& state, StateParts& parts);
/// Puts it back into a state that startChunks() made for the same segment. Throws std::invalid_argument where
/// the parts do not fit it.
void restoreChunks(const StateParts& parts, ChunkedState& state);

/// A checkpoint at the next row: keys and values, their queries and what reuse would repeat are dropped.
/// Finished chunks write their keys anew before that row, and its own chunks are computed. Run at the same
/// row, with or without a stop, it gives the same clip.
void dropKeys(ChunkedState& state, const ChunkPlan& plan);

} // namespace canopy::accel
