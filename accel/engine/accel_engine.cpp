#include "accel/engine/accel_engine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <optional>
#include <thread>

#include "accel/kernels/cpu/block_attention.h"
#include "accel/pipelines/answer_video.h"
#include "accel/pipelines/calibrate_attention.h"
#include "accel/pipelines/generate_video.h"
#include "accel/pipelines/numeric_error.h"
#include "accel/runtime/block_pacer.h"
#include "accel/runtime/cancelled.h"
#include "accel/runtime/cuda_loader.h"
#include "accel/runtime/device.h"
#include "accel/runtime/job_error.h"
#include "accel/runtime/kernel_table.h"
#include "core/base/log.h"
#include "core/job/ask_plan.h"
#include "core/job/settings_schema.h"

namespace canopy::accel {

namespace {

/// The kernels that a job runs: on a card ours are for bfloat16 alone.
std::string kernelSetOf(DeviceKind device, Precision precision) {
    if (device == DeviceKind::Cpu)
        return kernels::kernelSetName(kernels::bestKernelSet());
    const KernelTable* card = cardKernels();
    return precision == Precision::BFloat16 && card ? card->name : "libtorch";
}

/// The processor multiplies bf16 in hardware (AVX-512 BF16 or AMX).
bool hasFastBf16() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") != 0;
}

std::string joined(const std::vector<std::string>& sentences) {
    std::string text;
    for (const auto& sentence : sentences)
        text += (text.empty() ? "" : " ") + sentence;
    return text;
}

std::string gigabytes(std::uint64_t bytes) {
    const auto tenths = (bytes + 50'000'000) / 100'000'000;
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GB";
}

class AccelEngine final : public Engine {
public:
    AccelEngine() {
        m_info.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
        m_info.bf16Fast = hasFastBf16();
        m_info.devices.push_back("cpu");
        auto cuda = loadCuda();
        if (cuda) {
            m_cuda = std::move(cuda).value();
            m_info.devices.push_back("cuda: " + m_cuda->name());
        } else {
            m_info.deviceNote = cuda.error().message;
        }
    }

    EngineInfo info() const override { return m_info; }

    Result<JobSummary> generate(const GenerationRequest& request, const ModelRecord& model,
                                JobObserver& observer, std::stop_token stop) override {
        const c10::InferenceMode inference;
        auto resolved = resolve(request, model);
        if (!resolved)
            return resolved.error();
        auto& job = *resolved;
        const MemoryPlan plan = planMemory(model, job);
        if (auto fits = checkPlan(plan, job.device, job.memoryBudgetGb, advice(job)); !fits)
            return fits.error();
        observer.resolved(job, plan);
        auto summary = guarded<JobSummary>(
            job.device, [&] { return outOfMemory(plan, job.device, advice(job)); },
            [&] { return run(job, model, observer, stop); });
        if (!summary)
            return summary;
        summary->plannedBytes = plan.peakBytes(job.device);
        summary->request = job;
        return summary;
    }

    Result<CalibrationRequest> calibrate(const CalibrationRequest& request, const ModelRecord& model,
                                         CalibrationObserver& observer, std::stop_token stop) override {
        const c10::InferenceMode inference;
        CalibrationRequest job = withModelDefaults(request, model.defaults);
        if (auto done = resolveMachine(job.clip); !done)
            return done.error();
        if (const auto problems = checkCalibration(job, model); !problems.empty())
            return makeError(ErrorCode::InvalidArgument, joined(problems));
        const MemoryPlan plan = planMemory(model, job.clip);
        if (auto fits = checkPlan(plan, job.clip.device, job.clip.memoryBudgetGb, calibrationAdvice()); !fits)
            return fits.error();
        observer.resolved(job, plan);
        return guarded<CalibrationRequest>(
            job.clip.device, [&] { return outOfMemory(plan, job.clip.device, calibrationAdvice()); },
            [&] {
                Device& device = deviceFor(job.clip.device);
                BlockPacer pacer(device);
                CalibrationOptions options;
                options.pace = [&pacer] { pacer.blockQueued(); };
                options.releaseMemory = [&device] { device.emptyCache(); };
                calibrateAttention(videoModel(job.clip, model), job, options, observer, stop);
                releaseCaches();
                return job;
            });
    }

    Result<Answer> ask(const AskRequest& request, const QaModelRecord& model, AskObserver& observer,
                       std::stop_token stop) override {
        const c10::InferenceMode inference;
        auto resolved = resolve(request, model);
        if (!resolved)
            return resolved.error();
        AskRequest& job = *resolved;
        const MemoryPlan plan = planMemory(model, job, plannedVideoTokens(model, job));
        if (auto fits = checkPlan(plan, job.device, job.memoryBudgetGb, askAdvice()); !fits)
            return fits.error();
        observer.resolved(job, plan);
        auto answer = guarded<Answer>(
            job.device, [&] { return outOfMemory(plan, job.device, askAdvice()); },
            [&] { return runAsk(job, model, observer, stop); });
        if (!answer)
            return answer;
        answer->plannedBytes = plan.peakBytes(job.device);
        answer->request = job;
        return answer;
    }

    Result<std::vector<float>> similarity(const AskRequest& request, const QaModelRecord& model, int cell,
                                          std::stop_token stop) override {
        const c10::InferenceMode inference;
        auto resolved = resolve(request, model);
        if (!resolved)
            return resolved.error();
        return guarded<std::vector<float>>(
            resolved->device,
            [&] {
                return makeError(ErrorCode::OutOfMemory,
                                 "There is not enough memory to compare the cells." + askAdvice());
            },
            [&] { return cellSimilarity(qaModel(*resolved, model), *resolved, cell, stop); });
    }

    void freeMemory() override {
        m_model.reset();
        m_qaModel.reset();
        releaseCaches();
    }

    std::uint64_t deviceBytes() const override { return m_cuda ? m_cuda->memory().reservedBytes : 0; }

    bool broken() const override { return m_broken; }

private:
    /// One exception boundary for everything that LibTorch, CUDA and our loaders throw. Handlers only note
    /// what happened: memory is released after they have ended.
    template <typename T, typename OutOfMemory, typename Body>
    Result<T> guarded(DeviceKind device, OutOfMemory memoryError, Body body) {
        std::optional<Error> failure;
        try {
            return body();
        } catch (const Cancelled&) {
            failure = makeError(ErrorCode::Cancelled, "Cancelled.");
        } catch (const JobError& e) {
            failure = e.error;
        } catch (const NumericError& e) {
            failure = makeError(
                ErrorCode::NumericOverflow,
                e.row >= 0 ? "The numbers overflowed at step " + std::to_string(e.row + 1) +
                                 ". Try fp32 precision, fewer steps of shift, or another checkpoint."
                           : std::string("The numbers overflowed while the question was read. Try fp32 "
                                         "precision or another checkpoint."));
        } catch (const c10::OutOfMemoryError&) {
            failure = memoryError();
        } catch (const std::bad_alloc&) {
            failure = memoryError();
        } catch (const std::exception& e) {
            // LibTorch's CPU allocator reports exhaustion as a plain error.
            const std::string what = e.what();
            if (what.find("not enough memory") != std::string::npos ||
                what.find("can't allocate memory") != std::string::npos)
                failure = memoryError();
            else
                failure =
                    makeError(ErrorCode::Internal, "The engine failed: " + what.substr(0, what.find('\n')));
        }
        if (device == DeviceKind::Cuda && failure->code == ErrorCode::Internal && !cudaAnswers())
            m_broken = true;
        if (failure->code == ErrorCode::OutOfMemory) {
            m_model.reset();
            m_qaModel.reset();
        }
        releaseCaches();
        return *failure;
    }

    /// Fills what both kinds of request leave open, so that they repeat the job.
    template <typename Request>
    Result<void> resolveMachine(Request& job) const {
        if (job.device == DeviceKind::Cuda && !m_cuda) {
            return makeError(ErrorCode::InvalidArgument, "The job asks for a GPU and none can be used: " +
                                                             m_info.deviceNote + " Choose the CPU.");
        }
        if (job.precision == Precision::Auto) {
            job.precision =
                job.device == DeviceKind::Cuda || m_info.bf16Fast ? Precision::BFloat16 : Precision::Float32;
        }
        if (job.threads <= 0)
            job.threads = m_info.threads;
        const std::string kernels = kernelSetOf(job.device, job.precision);
        if (!job.kernelSet.empty() && job.kernelSet != kernels) {
            logWarning("engine", "The settings name the kernels \"" + job.kernelSet +
                                     "\", this machine runs \"" + kernels +
                                     "\": results may differ in their last digits.");
        }
        job.kernelSet = kernels;
        return {};
    }

    Result<GenerationRequest> resolve(const GenerationRequest& request, const ModelRecord& model) const {
        auto job = withModelDefaults(request, model.defaults);
        if (auto done = resolveMachine(job); !done)
            return done.error();
        if (job.noiseScheme.empty())
            job.noiseScheme = "torch-cpu-1";
        if (job.noiseScheme != "torch-cpu-1") {
            return makeError(ErrorCode::Unsupported, "The noise scheme is \"" + job.noiseScheme +
                                                         "\"; this version knows \"torch-cpu-1\" only.");
        }
        if (const auto problems = checkRequest(job, model); !problems.empty())
            return makeError(ErrorCode::InvalidArgument, joined(problems));
        return job;
    }

    Result<AskRequest> resolve(const AskRequest& request, const QaModelRecord& model) const {
        auto job = withModelDefaults(request, model);
        if (auto done = resolveMachine(job); !done)
            return done.error();
        if (const auto problems = checkAsk(job, model); !problems.empty())
            return makeError(ErrorCode::InvalidArgument, joined(problems));
        return job;
    }

    Result<void> checkPlan(const MemoryPlan& plan, DeviceKind device, double budgetGb,
                           const std::string& help) const {
        const auto needed = plan.peakBytes(device);
        const auto budget = static_cast<std::uint64_t>(budgetGb * 1e9);
        if (budget > 0 && needed > budget) {
            return makeError(ErrorCode::OutOfMemory,
                             "The job needs " + gigabytes(needed) + " while the budget is " +
                                 gigabytes(budget) + " (largest stage: " + plan.largestStage(device)->name +
                                 ")." + help);
        }
        return {};
    }

    static std::string advice(const GenerationRequest& job) {
        return std::string(" Use ") + (job.vaeTiling ? "" : "tiled decoding, ") +
               "a smaller size or fewer frames, or raise the budget.";
    }
    static std::string calibrationAdvice() {
        return " Use a smaller size or fewer frames, or raise the budget.";
    }
    static std::string askAdvice() { return " Use fewer frames, keep fewer tokens, or raise the budget."; }

    static Error outOfMemory(const MemoryPlan& plan, DeviceKind device, const std::string& help) {
        const auto* stage = plan.largestStage(device);
        return makeError(ErrorCode::OutOfMemory,
                         std::string(device == DeviceKind::Cuda ? "The GPU" : "The machine") +
                             " ran out of memory; " + stage->name + " was planned with " +
                             gigabytes(stage->bytes(device)) + "." + help);
    }

    Device& deviceFor(DeviceKind kind) { return kind == DeviceKind::Cuda ? *m_cuda : *m_cpu; }

    /// Two small models stay loaded side by side; a large one gives way to the other kind.
    static bool isSmall(std::uint64_t parameters) { return parameters * 4 <= kWholeModelBytes; }
    static std::uint64_t parametersOf(const ModelRecord& m) {
        return m.transformerParameters + m.textParameters + m.vaeParameters;
    }
    static std::uint64_t parametersOf(const QaModelRecord& m) {
        return m.visionParameters + m.languageParameters;
    }

    LoadedQaModel& qaModel(const AskRequest& job, const QaModelRecord& record) {
        at::set_num_threads(job.threads);
        const auto dtype = job.precision == Precision::BFloat16 ? at::kBFloat16 : at::kFloat;
        const at::Device place = deviceFor(job.device).torchDevice();
        if (m_model && !(isSmall(parametersOf(m_model->record())) && isSmall(parametersOf(record))))
            m_model.reset();
        if (!m_qaModel || !m_qaModel->serves(record, place, dtype)) {
            m_qaModel.reset();
            releaseCaches();
            m_qaModel.emplace(record, place, dtype);
        }
        return *m_qaModel;
    }

    Answer runAsk(AskRequest& job, const QaModelRecord& record, AskObserver& observer,
                  const std::stop_token& stop) {
        Device& device = deviceFor(job.device);
        device.resetPeak();
        BlockPacer pacer(device);
        AnswerOptions options;
        options.policy = makeTokenPolicy;
        options.synchronize = [&device] { device.synchronize(); };
        options.pace = [&pacer] { pacer.blockQueued(); };
        options.releaseMemory = [&device] { device.emptyCache(); };
        options.takePeak = [&device] {
            const auto peak = device.memory().peakBytes;
            device.resetPeak();
            return peak;
        };
        Answer answer = answerVideo(qaModel(job, record), job, options, observer, stop).answer;
        trimSometimes(device);
        return answer;
    }

    /// Questions come many in a row and each has other sizes, which leaves holes in the heap. Giving them
    /// back after each would cost the next one its page faults, so it is done when enough has gathered.
    void trimSometimes(Device& device) {
        constexpr std::uint64_t kHoles = std::uint64_t{64} << 20;
        if (device.memory().allocatedBytes < m_afterTrim + kHoles)
            return;
        releaseCaches();
        m_afterTrim = device.memory().allocatedBytes;
    }

    LoadedModel& videoModel(const GenerationRequest& job, const ModelRecord& record) {
        at::set_num_threads(job.threads);
        const auto dtype = job.precision == Precision::BFloat16 ? at::kBFloat16 : at::kFloat;
        const at::Device place = deviceFor(job.device).torchDevice();
        if (m_qaModel && !(isSmall(parametersOf(m_qaModel->record())) && isSmall(parametersOf(record))))
            m_qaModel.reset();
        if (!m_model || !m_model->serves(record, place, dtype)) {
            m_model.reset();
            releaseCaches();
            m_model.emplace(record, place, dtype);
        }
        return *m_model;
    }

    JobSummary run(GenerationRequest& job, const ModelRecord& record, JobObserver& observer,
                   const std::stop_token& stop) {
        Device& device = deviceFor(job.device);
        LoadedModel& model = videoModel(job, record);
        BlockPacer pacer(device);
        GenerationOptions options;
        options.synchronize = [&device] { device.synchronize(); };
        options.pace = [&pacer] { pacer.blockQueued(); };
        options.releaseMemory = [&device] { device.emptyCache(); };
        options.takePeak = [&device] {
            const auto peak = device.memory().peakBytes;
            device.resetPeak();
            return peak;
        };
        const auto times = generateVideo(model, job, options, observer, stop);
        JobSummary summary;
        summary.loadSeconds = times.loadSeconds;
        summary.textSeconds = times.textSeconds;
        summary.denoiseSeconds = times.denoiseSeconds;
        summary.decodeSeconds = times.decodeSeconds;
        summary.stepSeconds = times.stepSeconds;
        summary.denoiseFlop = times.denoiseFlop;
        summary.textPeakBytes = times.textPeakBytes;
        summary.denoisePeakBytes = times.denoisePeakBytes;
        summary.decodePeakBytes = times.decodePeakBytes;
        summary.peakBytes = std::max({times.textPeakBytes, times.denoisePeakBytes, times.decodePeakBytes});
        releaseCaches();
        return summary;
    }

    void releaseCaches() {
        m_cpu->emptyCache();
        if (m_cuda && !m_broken)
            m_cuda->emptyCache();
    }

    /// False after an error that only a new process can cure.
    bool cudaAnswers() {
        try {
            m_cuda->synchronize();
            return true;
        } catch (const std::exception&) {
            return false;
        }
    }

    EngineInfo m_info;
    std::unique_ptr<Device> m_cpu = makeCpuDevice();
    std::unique_ptr<Device> m_cuda;
    std::optional<LoadedModel> m_model;
    std::optional<LoadedQaModel> m_qaModel;
    std::uint64_t m_afterTrim = 0; ///< resident size after the last trim between questions
    std::atomic<bool> m_broken = false;
};

} // namespace

std::unique_ptr<Engine> makeEngine() {
    return std::make_unique<AccelEngine>();
}

} // namespace canopy::accel
