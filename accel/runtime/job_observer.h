#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/job/attention_telemetry.h"
#include "core/job/chunk_record.h"
#include "core/job/generation_request.h"
#include "core/job/memory_plan.h"
#include "core/job/sampling_point.h"

namespace canopy::accel {

/// Where a job tells what it does. Called on the inference thread; must not block on the client for long
/// (final frames may wait for credit). Std types only.
class JobObserver {
public:
    virtual ~JobObserver() = default;

    /// Asked before anything is computed only to be shown ("preview", "block_times", "attention",
    /// "attention_stats", maskTopic(), "chunks").
    virtual bool wants(std::string_view topic) const = 0;

    virtual void resolved(const GenerationRequest& request, const MemoryPlan& plan) = 0;
    virtual void stage(std::string_view name, int unit,
                       int units) = 0;                ///< "load", "text", "denoise", "decode"
    virtual void block(int finished, int blocks) = 0; ///< within the current step
    virtual void timing(std::string_view name, int step, double seconds) = 0;
    /// Animated preview of the predicted clean latent: `frames` pictures of RGB bytes, row by row.
    virtual void preview(int step, int width, int height, int frames, std::vector<std::uint8_t> rgb) = 0;
    /// What sparse attention did in a step that has just ended.
    virtual void attentionStep(const AttentionStep& step) { (void)step; }
    /// Block masks of one call, all heads.
    virtual void attentionMasks(const std::vector<BlockBitmap>& masks) { (void)masks; }
    /// What sparse attention kept and reused, as JSON text, when sampling has ended:
    /// pipelines/attention_stats.h.
    virtual void attentionStats(std::vector<std::uint8_t> json) { (void)json; }
    /// New entries of the record of block-wise sampling, after each row; the first part holds the run. Asked
    /// for by the topic "chunks".
    virtual void chunks(const ChunkRecord& part) { (void)part; }
    /// Bytes that a saved state may have.
    virtual std::uint64_t stateBudget() const { return 0; }
    /// Whether the state of sampling is to be handed over now; asked after each row and, `stopped`, once more
    /// when sampling was stopped.
    virtual bool wantsState(bool stopped) { return (void)stopped, false; }
    /// A state file (core/job/sampling_point.h).
    virtual void state(const SamplingPoint& point, std::vector<std::uint8_t> file) {
        (void)point, (void)file;
    }
    /// Sampling goes on from a saved state.
    virtual void resumed(const SamplingPoint& from) { (void)from; }
    /// The final latents as the bytes of a safetensors file, before decoding starts.
    virtual void latents(std::vector<std::uint8_t> file) = 0;
    /// One finished frame, in order.
    virtual void frame(int index, int count, int width, int height, std::vector<std::uint8_t> rgb) = 0;
};

} // namespace canopy::accel
