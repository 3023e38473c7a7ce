#include "core/studio/memory_check.h"

#include "core/studio/machine.h"

namespace canopy {
namespace {

double limitGb(const JobRequest& request) {
    return std::visit([](const auto& r) { return r.memoryBudgetGb; }, request);
}

/// What would make the job smaller, as the end of a sentence.
std::string advice(const JobRequest& request) {
    if (const auto* clip = std::get_if<GenerationRequest>(&request))
        return std::string("choose a smaller size, fewer frames") +
               (clip->vaeTiling ? "" : ", tiled decoding");
    return "choose fewer frames or keep fewer tokens";
}

} // namespace

std::uint64_t memoryBudget(const JobRequest& request, std::uint64_t workerBytes) {
    if (limitGb(request) > 0)
        return static_cast<std::uint64_t>(limitGb(request) * 1e9);
    if (deviceOf(request) != DeviceKind::Cpu)
        return 0;
    const std::uint64_t available = availableMemoryBytes();
    return available == 0 ? 0 : available + workerBytes;
}

std::optional<Error> memoryProblem(const MemoryPlan& plan, const JobRequest& request,
                                   std::uint64_t workerBytes) {
    const DeviceKind device = deviceOf(request);
    const std::uint64_t budget = memoryBudget(request, workerBytes);
    const MemoryStage* stage = plan.largestStage(device);
    if (budget == 0 || !stage || stage->bytes(device) <= budget)
        return std::nullopt;
    const bool limit = limitGb(request) > 0;
    return makeError(
        ErrorCode::OutOfMemory,
        std::string(std::holds_alternative<AskRequest>(request) ? "This question" : "This clip") +
            " needs about " + gigabytes(stage->bytes(device)) + " of memory (stage: " + stage->name +
            ") and " + (limit ? "the limit is " : "") + gigabytes(budget) + (limit ? "" : " are free") +
            "; " + advice(request) + (limit ? " or a higher limit." : "."));
}

} // namespace canopy
