#pragma once

// Private to core/job.

#include <string>

#include "core/job/token_run.h"

namespace canopy {

/// The first thing that is wrong with a run whose types are right, as a clause: lengths, indices, ranks, what
/// the arrays say of each other. Empty = nothing. The run has at least one cell.
std::string tokenRunProblem(const TokenRun& run);

} // namespace canopy
