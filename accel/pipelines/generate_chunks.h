#pragma once

#include <functional>
#include <stop_token>

#include "accel/pipelines/denoise_chunks.h"
#include "accel/pipelines/state_file.h"
#include "core/formats/model_config.h"
#include "core/job/generation_request.h"

namespace canopy::accel {

struct ChunkClipEvents {
    std::function<void(int rows)> begin; ///< rows of all segments, before the first
    DenoiseEvents steps; ///< rows count over all segments; previews show the clip up to the newest chunk
    /// The record as it grows, chunks and rows counted over the clip; the first part holds the run.
    std::function<void(const ChunkRecord& part)> record;
    /// The first `frames` latent frames of the clip [C, F, h, w] will not change any more. Said before each
    /// segment and whenever chunks were finished, between two rows.
    std::function<void(const at::Tensor& latents, std::int64_t frames)> finished;
    StateSaving saving; ///< of the state between rows
    std::function<void(const SamplingPoint& from)>
        resumed; ///< before the first row that follows a saved state
};

/// Latents of a whole clip [C, F, h, w], segment after segment. `latents` hold noise and, in front, what is
/// given: an image, a video, an earlier clip's chunks, clean. A hit rate in the request becomes a threshold.
/// With request.resumeStatePath, goes on from that state; `latents` are only looked at for their shape then.
/// Throws JobError, NumericError, Cancelled.
at::Tensor generateChunks(const WanDit& dit, const Conditioning& conditioning, const ModelDefaults& model,
                          GenerationRequest& request, at::Tensor latents, AttentionPolicy* attention,
                          const ChunkClipEvents& events, const std::stop_token& stop);

} // namespace canopy::accel
