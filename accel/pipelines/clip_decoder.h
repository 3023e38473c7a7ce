#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>

#include "accel/models/wan/vae.h"
#include "accel/pipelines/loaded_model.h"
#include "accel/runtime/job_observer.h"
#include "core/job/generation_request.h"

namespace canopy::accel {

/// Latents to the frames of one clip, each sent once and in order. A clip that grows is decoded as it grows,
/// with the bits of one decoding of the whole. Inference thread; lives as long as the job.
class ClipDecoder {
public:
    /// `releaseMemory` returns cached memory; may be empty. References live as long as this.
    ClipDecoder(LoadedModel& model, GenerationRequest& request, JobObserver& observer,
                std::function<void()> releaseMemory, std::stop_token stop);

    /// The first `frames` latent frames of `latents` [C, F, h, w] are final: decodes those that are new. Does
    /// nothing for clips decoded in tiles, which need the whole clip, and where memory does not suffice.
    void grow(const at::Tensor& latents, std::int64_t frames);
    /// Decodes what is left. When that runs out of memory and nothing was sent yet, it is tried once more in
    /// tiles and request.vaeTiling is set, so that the stored settings say what was done.
    void finish(const at::Tensor& latents);

    double seconds() const { return m_seconds; } ///< of grow()

private:
    void decode(const at::Tensor& latents, std::int64_t frames);
    void send(const at::Tensor& rgb);

    LoadedModel& m_model;
    GenerationRequest& m_request;
    JobObserver& m_observer;
    std::function<void()> m_releaseMemory;
    std::stop_token m_stop;
    std::optional<VaeStream> m_stream;
    std::int64_t m_decoded = 0; ///< latent frames
    int m_sent = 0;             ///< frames
    bool m_waits = false;       ///< for the whole clip: a piece did not fit into memory
    double m_seconds = 0;
};

} // namespace canopy::accel
