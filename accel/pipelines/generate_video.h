#pragma once

#include <optional>
#include <stop_token>
#include <vector>

#include "accel/pipelines/denoise.h"
#include "accel/pipelines/loaded_model.h"
#include "accel/runtime/job_observer.h"
#include "core/job/generation_request.h"

namespace canopy::accel {

struct GenerationTimes {
    double loadSeconds = 0;
    double textSeconds = 0;
    double denoiseSeconds = 0;
    double decodeSeconds = 0;
    std::vector<double> stepSeconds;
    std::optional<double> denoiseFlop; ///< of the products of the sampling loop; none where not all are known
    std::uint64_t textPeakBytes = 0;   ///< measured while text was encoded; 0 when it was not
    std::uint64_t denoisePeakBytes = 0;
    std::uint64_t decodePeakBytes = 0;
};

struct GenerationOptions {
    DenoiseHooks hooks;                      ///< an attention set here replaces the request's
    std::function<void()> pace;              ///< after each block; see DenoiseEvents
    std::function<void()> synchronize;       ///< waits for the card before a clock is read; may be empty
    std::function<void()> releaseMemory;     ///< returns cached memory between stages; may be empty
    std::function<std::uint64_t()> takePeak; ///< peak bytes since the last call; may be empty
};

/// Prompt to frames: text encoder, sampling, autoencoder. `request` is resolved (no field at "auto" or zero).
/// When decoding runs out of memory it is tried once more in tiles and request.vaeTiling is set, so that the
/// stored settings say what was done. Throws JobError, NumericError, Cancelled and LibTorch's errors.
GenerationTimes generateVideo(LoadedModel& model, GenerationRequest& request,
                              const GenerationOptions& options, JobObserver& observer,
                              const std::stop_token& stop);

/// Noise of scheme "torch-cpu-1": at::randn of the whole clip from a CPU generator. [16, F, h, w].
at::Tensor initialNoise(std::uint64_t seed, int channels, int latentFrameCount, int rows, int columns);

/// The time grid a request asks for.
FlowSchedule scheduleOf(const GenerationRequest& request);

} // namespace canopy::accel
