#pragma once

#include "core/job/chunk_record.h"
#include "core/job/generation_request.h"

namespace canopy::test {

/// What the fake engine says of its chunks after row `row` (0: also the run): chunks
/// of 3 latent frames of 4 x 4 tokens, one after the other; every third step is reused, and chunk 1's end
/// squeezes the first two.
ChunkRecord fakeChunkPart(const GenerationRequest& request, int row);
/// Frames of a clip up to the end of a chunk.
int fakeChunkEnd(int chunk);
/// All parts together.
ChunkRecord fakeChunkRecord(const GenerationRequest& request);

} // namespace canopy::test
