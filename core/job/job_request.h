#pragma once

#include <string_view>
#include <variant>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/job/ask_request.h"
#include "core/job/generation_request.h"

namespace canopy {

/// What a job of the one job table asks for. Another kind of job is another alternative here.
using JobRequest = std::variant<GenerationRequest, AskRequest>;

/// "generate" or "ask": in the job table and to the worker.
std::string_view jobKindName(const JobRequest& request);
const std::string& modelIdOf(const JobRequest& request);
DeviceKind deviceOf(const JobRequest& request);

Value toValue(const JobRequest& request);
/// An unknown kind is an error that names it: it was written by a newer program.
Result<JobRequest> jobRequestFromValue(std::string_view kind, const Value& value);
/// Without the fields that are "never stored": files of this run.
JobRequest withoutTransients(JobRequest request);

} // namespace canopy
