#pragma once

// Private to core/studio.

#include <cstdint>
#include <optional>

#include "core/base/result.h"
#include "core/job/job_request.h"
#include "core/job/memory_plan.h"

namespace canopy {

/// What a plan may take on its device: the request's limit, else what the machine has free and the worker
/// holds now (which it gives back). 0 = not known (a GPU without a limit: the worker knows).
std::uint64_t memoryBudget(const JobRequest& request, std::uint64_t workerBytes);

/// Why the plan cannot run, with numbers.
std::optional<Error> memoryProblem(const MemoryPlan& plan, const JobRequest& request,
                                   std::uint64_t workerBytes);

} // namespace canopy
