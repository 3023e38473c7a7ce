#include "core/job/job_request.h"

#include <utility>

namespace canopy {

std::string_view jobKindName(const JobRequest& request) {
    return std::holds_alternative<AskRequest>(request) ? "ask" : "generate";
}

const std::string& modelIdOf(const JobRequest& request) {
    return std::visit([](const auto& r) -> const std::string& { return r.modelId; }, request);
}

DeviceKind deviceOf(const JobRequest& request) {
    return std::visit([](const auto& r) { return r.device; }, request);
}

Value toValue(const JobRequest& request) {
    return std::visit([](const auto& r) { return toValue(r); }, request);
}

Result<JobRequest> jobRequestFromValue(std::string_view kind, const Value& value) {
    const auto widened = [](auto read) -> Result<JobRequest> {
        if (!read)
            return read.error();
        return JobRequest(std::move(*read));
    };
    if (kind == "generate")
        return widened(generationRequestFromValue(value));
    if (kind == "ask")
        return widened(askRequestFromValue(value));
    return makeError(ErrorCode::Unsupported, "The job is of kind \"" + std::string(kind) +
                                                 "\", which this program does not know; a newer Canopy "
                                                 "wrote it.");
}

JobRequest withoutTransients(JobRequest request) {
    if (auto* clip = std::get_if<GenerationRequest>(&request)) {
        clip->resumeLatentsPath.clear();
        clip->resumeStatePath.clear();
        clip->imagePixelsPath.clear();
    } else if (auto* ask = std::get_if<AskRequest>(&request)) {
        ask->framesFile.clear();
        ask->frameIndex.clear();
        ask->frameSeconds.clear();
        ask->videoSeconds = 0;
    }
    return request;
}

} // namespace canopy
