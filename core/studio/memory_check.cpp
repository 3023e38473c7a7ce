#include "core/studio/memory_check.h"

#include "core/studio/machine.h"

namespace canopy {

std::uint64_t memoryBudget(const GenerationRequest& request, std::uint64_t workerBytes) {
    if (request.memoryBudgetGb > 0)
        return static_cast<std::uint64_t>(request.memoryBudgetGb * 1e9);
    if (request.device != DeviceKind::Cpu)
        return 0;
    const std::uint64_t available = availableMemoryBytes();
    return available == 0 ? 0 : available + workerBytes;
}

std::optional<Error> memoryProblem(const MemoryPlan& plan, const GenerationRequest& request,
                                   std::uint64_t workerBytes) {
    const std::uint64_t budget = memoryBudget(request, workerBytes);
    const MemoryStage* stage = plan.largestStage(request.device);
    if (budget == 0 || !stage || stage->bytes(request.device) <= budget)
        return std::nullopt;
    const bool limit = request.memoryBudgetGb > 0;
    return makeError(
        ErrorCode::OutOfMemory,
        "This clip needs about " + gigabytes(stage->bytes(request.device)) +
            " of memory (stage: " + stage->name + ") and " + (limit ? "the limit is " : "") +
            gigabytes(budget) + (limit ? "" : " are free") + "; choose a smaller size, fewer frames" +
            (request.vaeTiling ? "" : ", tiled decoding") + (limit ? " or a higher limit." : "."));
}

} // namespace canopy
