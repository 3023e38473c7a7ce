#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "accel/runtime/ask_observer.h"
#include "accel/runtime/calibration_observer.h"
#include "accel/runtime/job_observer.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "core/formats/model_config.h"
#include "core/formats/qa_model.h"
#include "core/job/answer.h"
#include "core/job/calibration_request.h"
#include "core/job/generation_request.h"
#include "core/job/memory_plan.h"

namespace canopy::accel {

struct JobSummary {
    GenerationRequest request; ///< resolved
    double loadSeconds = 0, textSeconds = 0, denoiseSeconds = 0, decodeSeconds = 0;
    std::vector<double> stepSeconds;
    std::optional<double> denoiseFlop; ///< counted in the products that ran; none where not all are known
    std::uint64_t plannedBytes = 0;    ///< peak of the plan on the job's device
    std::uint64_t peakBytes = 0;       ///< measured: the largest of the stages
    std::uint64_t textPeakBytes = 0, denoisePeakBytes = 0, decodePeakBytes = 0; ///< measured by stage
};

struct EngineInfo {
    int threads = 1;
    bool bf16Fast = false;
    std::vector<std::string> devices;
    std::string deviceNote;
};

/// Owns loaded models. One home thread: the worker's inference thread. Exceptions of LibTorch and CUDA end
/// here: every entry returns a Result. `stop` is obeyed within one transformer block, one VAE chunk or one
/// loaded tensor.
class Engine {
public:
    virtual ~Engine() = default;
    virtual EngineInfo info() const = 0;
    virtual Result<JobSummary> generate(const GenerationRequest& request, const ModelRecord& model,
                                        JobObserver& observer, std::stop_token stop) = 0;
    /// Measures the heads of a model, for thresholds to be chosen from. Returns the resolved request.
    virtual Result<CalibrationRequest> calibrate(const CalibrationRequest& request, const ModelRecord& model,
                                                 CalibrationObserver& observer, std::stop_token stop) = 0;
    /// Answers a question about sampled frames; without a question only chooses tokens.
    virtual Result<Answer> ask(const AskRequest& request, const QaModelRecord& model, AskObserver& observer,
                               std::stop_token stop) = 0;
    /// Cosine of one cell's feature with every cell's: [frames x rows x columns].
    virtual Result<std::vector<float>> similarity(const AskRequest& request, const QaModelRecord& model,
                                                  int cell, std::stop_token stop) = 0;
    /// Drops loaded weights and returns cached memory to the system.
    virtual void freeMemory() = 0;
    virtual std::uint64_t deviceBytes() const = 0; ///< thread-safe; 0 without a GPU
    /// True after an error that only a new process can cure (sticky CUDA error).
    virtual bool broken() const = 0;
};

std::unique_ptr<Engine> makeEngine();

} // namespace canopy::accel
