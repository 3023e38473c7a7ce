#pragma once

#include "core/job/ask_request.h"
#include "core/job/token_run.h"

namespace canopy::test {

/// What the fake engine chooses: 4 x 4 cells a frame, every cell a candidate, one tree per cell through all
/// frames, kept by (frame, cell) order.
TokenRun fakeTokenRun(const AskRequest& request);

} // namespace canopy::test
