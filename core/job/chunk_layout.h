#pragma once

#include <string>
#include <vector>

#include "core/formats/model_config.h"
#include "core/job/chunk_record.h"
#include "core/job/generation_request.h"

namespace canopy {

/// The inverse of latentFrames(): 1 + 4 (latent - 1).
constexpr int pixelFrames(int latent) {
    return latent > 0 ? 1 + (latent - 1) * 4 : 0;
}

/// How a clip's latent frames are cut into chunks and segments, known before anything runs.
struct ChunkLayout {
    int chunks = 0;      ///< of the clip
    int chunkFrames = 0; ///< latent frames of a chunk
    /// One after the other; a later one begins with the last chunks of the one before. flow-cache.md 2.2.
    std::vector<ChunkSegment> segments;
    /// Latent frames of what the request's imagePath names: ChunkSettings::givenFrames of a video, or one of
    /// a picture.
    int givenFrames = 0;
    int heldFrames = 0; ///< those of them that fill no whole chunk: the first of the first chunk that moves
    int inFlight = 0;   ///< most chunks denoised in one row
    int capacityChunks = 0; ///< whose keys are in memory at once
};

/// Settings with all defaults filled: the model's block, one block after the other, one block of overlap,
/// given frames not noised, warm-up of 5 steps or a tenth of them.
ChunkSettings withChunkDefaults(ChunkSettings settings, const ModelDefaults& model, int steps);

/// The layout of a request with filled settings. Whole blocks only: what checkChunks() refuses gives an empty
/// layout.
ChunkLayout chunkLayout(const GenerationRequest& request, const ModelDefaults& model);

/// What is wrong with block-wise sampling of this request, one sentence each; nothing for other requests.
std::vector<std::string> checkChunks(const GenerationRequest& request, const ModelRecord& model);

} // namespace canopy
